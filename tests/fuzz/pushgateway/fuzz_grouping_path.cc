// Any bytes as a push path: an accepted one names a proper group.
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "services/pushgateway/grouping_key.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto key = narthex::pushgateway::ParseGroupingPath(bytes);
  if (key.ok()) NARTHEX_CHECK(narthex::pushgateway::ValidateGroupingKey(*key).ok());
  return 0;
}
