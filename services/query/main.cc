#include "lib/service/service.h"
#include "services/query/app.h"
#include "services/query/options.h"

int main(int argc, char** argv) {
  return narthex::service::Run<narthex::query::App, narthex::query::Options>(
      argc, argv, "query", narthex::query::RegisterFlags);
}
