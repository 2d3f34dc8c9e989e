// Any bytes as a segment of the log: the reader stays within them, and what it calls good reads the
// same when the rest is cut off.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "services/storage/tsdb/wal/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::wal::SegmentReader;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  SegmentReader reader(bytes);
  std::vector<std::string> records;
  while (reader.Next()) records.emplace_back(reader.record());
  NARTHEX_CHECK(reader.offset() <= size);
  NARTHEX_CHECK(reader.status().ok() || !reader.Next());

  SegmentReader good(bytes.substr(0, reader.offset()));
  size_t count = 0;
  while (good.Next()) {
    NARTHEX_CHECK(count < records.size());
    NARTHEX_CHECK(good.record() == records[count++]);
  }
  NARTHEX_CHECK(good.status().ok());
  NARTHEX_CHECK(count == records.size());
  return 0;
}
