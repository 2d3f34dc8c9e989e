// Any bytes as the content of a snapshot, with the right header before them: what is accepted can
// be stored, written and read again.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "services/pushgateway/snapshot.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::pushgateway::MetricStore;
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  std::string bytes = "NXPG\x01";
  narthex::AppendLittle(&bytes, narthex::Crc32c(content));
  bytes += content;
  const auto groups = narthex::pushgateway::DecodeSnapshot(bytes);
  if (!groups.ok()) return 0;
  MetricStore store({true, [] { return std::vector<narthex::metrics::CollectedFamily>(); }},
                    narthex::RealClock());
  store.Restore(*groups);
  const std::string written = narthex::pushgateway::EncodeSnapshot(store.Groups());
  const auto again = narthex::pushgateway::DecodeSnapshot(written);
  NARTHEX_CHECK(again.ok());
  NARTHEX_CHECK(narthex::pushgateway::EncodeSnapshot(*again) == written);
  return 0;
}
