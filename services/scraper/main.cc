#include "lib/service/service.h"
#include "services/scraper/app.h"

int main(int argc, char** argv) {
  return narthex::service::Run<narthex::scraper::App>(argc, argv, "scraper",
                                                      narthex::scraper::RegisterFlags);
}
