// Any bytes load as prometheus.yml or are refused with a place; what loads prints as something that
// loads and prints the same.
#include <cstdint>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/config/file_loader.h"
#include "tests/support/fault_file_system.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::config::FormatYaml;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  narthex::FaultFileSystem files;
  const auto loaded = narthex::config::LoadText(&files, text, "fuzz.yml");
  if (!loaded.ok()) {
    NARTHEX_CHECK(narthex::Message(loaded.status()).substr(0, 9) == "fuzz.yml:");
    return 0;
  }
  // Expanded labels would be expanded again.
  for (const narthex::LabelView label : loaded->config.global.external_labels) {
    if (label.value.find('$') != std::string_view::npos) return 0;
  }
  // Bytes that are no UTF-8 (!!binary) are printed with replacement characters.
  if (text.find('!') != std::string_view::npos) return 0;
  const std::string printed = FormatYaml(loaded->config);
  const auto again = narthex::config::LoadText(&files, printed, "printed.yml");
  NARTHEX_CHECK_OK(again.status());
  NARTHEX_CHECK(FormatYaml(again->config) == printed);
  return 0;
}
