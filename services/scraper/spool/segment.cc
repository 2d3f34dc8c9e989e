// A segment: an 8-byte head, then records until the end of the file (format.md).
//   head:   "NTHXSPL" u8 version = 1
//   record: u32 length, u32 CRC-32C of the content, content (length bytes): uv sequence, batch
// Integers are little-endian. The batch is an append batch whose references are the segment's own
// series numbers, 1, 2, 3 … in order of their definitions.
#include "services/scraper/spool/segment.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::scraper {
namespace {

constexpr std::string_view kHead("NTHXSPL\x01", 8);
constexpr std::string_view kSuffix = ".spool";
constexpr size_t kNameDigits = 8;
constexpr size_t kRecordHeadBytes = 8;
// A batch of ten million samples has some 100 MB; a greater length is damage.
constexpr uint32_t kRecordBytesMax = uint32_t{1} << 28;
constexpr size_t kReadBytes = size_t{256} << 10;

}  // namespace

std::string SegmentFileName(uint64_t id) {
  const std::string digits = StrCat(id);
  std::string name(digits.size() < kNameDigits ? kNameDigits - digits.size() : 0, '0');
  name += digits;
  name += kSuffix;
  return name;
}

bool ParseSegmentFileName(std::string_view name, uint64_t* id) {
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  return name.size() >= kNameDigits && ParseUint64(name, id);
}

SegmentWriter::SegmentWriter(std::unique_ptr<io::WritableFile> file)
    : file_(std::move(file)), buffer_(kHead), size_bytes_(kHead.size()) {}

absl::StatusOr<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(io::FileSystem* fs,
                                                                     const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::WritableFile> file, fs->Create(path));
  return std::unique_ptr<SegmentWriter>(new SegmentWriter(std::move(file)));
}

void SegmentWriter::Add(uint64_t sequence, const storage::NumberedBatch& batch,
                        const storage::SeriesTable& table) {
  encoder_.Clear(batch.base_timestamp);
  storage::EntryWriter entries(&batch);
  for (size_t i = 0; i < batch.size(); ++i) {
    const storage::SeriesNumber number = batch.numbers[i];
    const storage::SeriesRef own = column_.Find(number);
    if (own != 0) {
      encoder_.Add(own, batch.timestamp(i), batch.values[i]);
    } else {
      ++series_;
      column_.Set(number, series_);
      encoder_.AddWithDefinition(series_, table.Find(number), batch.timestamp(i), batch.values[i]);
    }
    entries.Write(i, &encoder_);
  }
  std::string content;
  AppendUvarint(&content, sequence);
  content += encoder_.Finish();
  NARTHEX_CHECK(content.size() <= kRecordBytesMax);
  AppendLittle(&buffer_, static_cast<uint32_t>(content.size()));
  AppendLittle(&buffer_, Crc32c(content));
  buffer_ += content;
  size_bytes_ += kRecordHeadBytes + content.size();
}

absl::Status SegmentWriter::Flush() {
  const absl::Status status = file_->Append(buffer_);
  buffer_.clear();
  return status;
}

SegmentReader::SegmentReader(std::unique_ptr<io::RandomAccessFile> file) : file_(std::move(file)) {}

absl::StatusOr<std::unique_ptr<SegmentReader>> SegmentReader::Open(io::FileSystem* fs,
                                                                   const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::RandomAccessFile> file, fs->OpenRead(path));
  return std::make_unique<SegmentReader>(std::move(file));
}

void SegmentReader::Rewind() { offset_ = 0; }

absl::StatusOr<bool> SegmentReader::Fill(size_t length, uint64_t limit) {
  if (offset_ + length > limit) return false;
  if (offset_ >= buffer_offset_ && offset_ + length <= buffer_offset_ + buffer_.size()) return true;
  const size_t wanted =
      static_cast<size_t>(std::min<uint64_t>(std::max(length, kReadBytes), limit - offset_));
  buffer_offset_ = offset_;
  NARTHEX_RETURN_IF_ERROR(file_->Read(offset_, wanted, &buffer_));
  return buffer_.size() >= length;
}

absl::StatusOr<SegmentReader::Record> SegmentReader::Next(uint64_t limit) {
  const absl::Status end = NotFound("no whole record at offset ", offset_);
  if (offset_ == 0) {
    NARTHEX_ASSIGN_OR_RETURN(const bool there, Fill(kHead.size(), limit));
    if (!there) return end;
    if (available().substr(0, kHead.size()) != kHead) {
      return absl::DataLossError("this is no spool segment, or one of a later version");
    }
    offset_ = kHead.size();
  }
  NARTHEX_ASSIGN_OR_RETURN(const bool head, Fill(kRecordHeadBytes, limit));
  if (!head) return end;
  const auto length = LoadLittle<uint32_t>(available().data());
  const auto crc = LoadLittle<uint32_t>(available().data() + 4);
  if (length > kRecordBytesMax) {
    return absl::DataLossError(ToAbsl(StrCat("offset ", offset_, ": impossible record length")));
  }
  NARTHEX_ASSIGN_OR_RETURN(const bool body, Fill(kRecordHeadBytes + length, limit));
  if (!body) return end;
  const std::string_view content = available().substr(kRecordHeadBytes, length);
  if (Crc32c(content) != crc) {
    return absl::DataLossError(ToAbsl(StrCat("offset ", offset_, ": checksum mismatch")));
  }
  Record record;
  ByteReader reader(content);
  if (!reader.ReadUvarint(&record.sequence) || record.sequence == 0) {
    return absl::DataLossError(ToAbsl(StrCat("offset ", offset_, ": record without a sequence")));
  }
  record.batch = reader.rest();
  offset_ += kRecordHeadBytes + length;
  return record;
}

absl::Status DecodeSegmentBatch(std::string_view bytes, uint64_t series_known,
                                storage::AppendBatch* batch) {
  NARTHEX_RETURN_IF_ERROR(storage::DecodeAppendBatch(bytes, batch));
  size_t defined = 0;
  for (storage::SeriesRef& ref : batch->refs) {
    if (ref == 0) {
      ref = batch->definitions[defined].number;
      if (ref != series_known + defined + 1) {
        return absl::DataLossError("a series is not numbered in order");
      }
      ++defined;
    } else if (ref > series_known + defined) {
      return absl::DataLossError("a series is not defined");
    }
  }
  return absl::OkStatus();
}

}  // namespace narthex::scraper
