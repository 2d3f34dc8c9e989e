#include "lib/service/service.h"
#include "services/storage/app.h"

int main(int argc, char** argv) {
  return narthex::service::Run<narthex::storage_service::App>(
      argc, argv, "storage", narthex::storage_service::RegisterFlags);
}
