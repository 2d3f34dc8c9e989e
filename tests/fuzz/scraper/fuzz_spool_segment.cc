// The segment reader on arbitrary bytes: it ends with a status, never reads a record past its
// limit, and what it accepts decodes to batches whose references are defined.
#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/check.h"
#include "services/scraper/spool/segment.h"

namespace {

class BytesFile : public narthex::io::RandomAccessFile {
 public:
  explicit BytesFile(std::string bytes) : bytes_(std::move(bytes)) {}
  absl::Status Read(uint64_t offset, size_t length, std::string* out) const override {
    *out = offset < bytes_.size() ? bytes_.substr(static_cast<size_t>(offset), length) : "";
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size() const override { return bytes_.size(); }

 private:
  const std::string bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  scraper::SegmentReader reader(std::make_unique<BytesFile>(bytes));
  storage::AppendBatch batch;
  uint64_t series = 0;
  while (true) {
    const auto record = reader.Next(bytes.size());
    if (!record.ok()) break;
    NARTHEX_CHECK(reader.offset() <= bytes.size());
    if (!scraper::DecodeSegmentBatch(record->batch, series, &batch).ok()) break;
    series += batch.definitions.size();
    for (const storage::SeriesRef ref : batch.refs) NARTHEX_CHECK(ref >= 1 && ref <= series);
  }
  return 0;
}
