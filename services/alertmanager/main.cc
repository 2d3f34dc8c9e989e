#include "lib/service/service.h"
#include "services/alertmanager/app.h"

int main(int argc, char** argv) {
  return narthex::service::Run<narthex::alertmanager_service::App>(
      argc, argv, "alertmanager", narthex::alertmanager_service::RegisterFlags);
}
