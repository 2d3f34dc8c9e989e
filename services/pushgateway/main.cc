#include "lib/service/service.h"
#include "services/pushgateway/app.h"

int main(int argc, char** argv) {
  return narthex::service::Run<narthex::pushgateway::App, narthex::pushgateway::Options>(
      argc, argv, "pushgateway", narthex::pushgateway::RegisterFlags);
}
