#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "services/alertmanager/nflog/notification_log.h"
#include "services/alertmanager/silence/silences.h"

// Decodes arbitrary bytes as a record of either file; what decodes encodes to something that
// decodes to the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  absl::Time time = absl::UnixEpoch();
  if (const auto entry = narthex::nflog::DecodeEntry(record, &time)) {
    const std::string bytes = narthex::nflog::EncodeEntry(*entry, time);
    const auto again = narthex::nflog::DecodeEntry(bytes, &time);
    NARTHEX_CHECK(again.has_value());
    NARTHEX_CHECK(narthex::nflog::EncodeEntry(*again, time) == bytes);
  }
  time = absl::UnixEpoch();
  if (const auto silence = narthex::silence::DecodeSilence(record, &time)) {
    const std::string bytes = narthex::silence::EncodeSilence(*silence, time);
    const auto again = narthex::silence::DecodeSilence(bytes, &time);
    NARTHEX_CHECK(again.has_value());
    NARTHEX_CHECK(narthex::silence::EncodeSilence(*again, time) == bytes);
  }
  return 0;
}
