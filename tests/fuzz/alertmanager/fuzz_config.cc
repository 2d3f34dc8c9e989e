#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "services/alertmanager/config/load.h"
#include "services/alertmanager/config/print.h"

// Reads arbitrary bytes as a configuration; what is accepted must print to something that is
// accepted and prints the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace config = narthex::alertmanager_config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto first = config::LoadText(text, "fuzz.yml");
  if (!first.ok()) return 0;
  // Secrets are hidden and empty texts left out, so the printed form is compared with its own.
  const auto second = config::LoadText(config::PrintConfig(*first), "fuzz.yml");
  if (!second.ok()) return 0;
  const std::string printed = config::PrintConfig(*second);
  const auto third = config::LoadText(printed, "fuzz.yml");
  NARTHEX_CHECK_OK(third.status());
  NARTHEX_CHECK(config::PrintConfig(*third) == printed);
  return 0;
}
