#include "services/storage/tsdb/chunks/writer.h"

#include <limits>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"

// A segment (format.md): u32 magic, u8 version, 3 zero bytes, then chunks: uv length, u8 encoding,
// bytes, u32 CRC-32C of encoding and bytes.
namespace narthex::chunks {
namespace {

// What is written goes to the disk in pieces: one sync of a whole segment would hold up those of
// the log for seconds.
constexpr uint64_t kSyncBytes = uint64_t{32} << 20;

}  // namespace

Writer::Writer(io::FileSystem* fs, std::string directory, WriterOptions options)
    : fs_(fs), directory_(std::move(directory)), options_(options) {
  NARTHEX_CHECK(options.segment_size_bytes <= std::numeric_limits<uint32_t>::max());
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Create(io::FileSystem* fs, std::string directory,
                                                       WriterOptions options) {
  return std::unique_ptr<Writer>(new Writer(fs, std::move(directory), options));
}

absl::StatusOr<uint64_t> Writer::Add(chunkenc::Encoding encoding, std::string_view bytes) {
  NARTHEX_CHECK(!bytes.empty());
  NARTHEX_RETURN_IF_ERROR(broken_);
  const uint64_t size_max = kUvarintBytesMax + 1 + bytes.size() + kChecksumSize;
  if (file_ != nullptr && segment_bytes_ > kHeaderSize &&
      segment_bytes_ + size_max > options_.segment_size_bytes) {
    broken_ = EndSegment();
    NARTHEX_RETURN_IF_ERROR(broken_);
  }
  if (file_ == nullptr) {
    broken_ = StartSegment();
    NARTHEX_RETURN_IF_ERROR(broken_);
  }
  const uint64_t reference =
      MakeReference(next_segment_ - 1, static_cast<uint32_t>(segment_bytes_));
  const size_t before = buffer_.size();
  AppendUvarint(&buffer_, bytes.size());
  const size_t body = buffer_.size();
  buffer_.push_back(static_cast<char>(encoding));
  buffer_.append(bytes);
  AppendBig(&buffer_, Crc32c(std::string_view(buffer_).substr(body)));
  segment_bytes_ += buffer_.size() - before;
  size_bytes_ += buffer_.size() - before;
  if (buffer_.size() >= options_.buffer_size_bytes) {
    broken_ = Flush();
    NARTHEX_RETURN_IF_ERROR(broken_);
  }
  return reference;
}

absl::Status Writer::Finish() {
  NARTHEX_RETURN_IF_ERROR(broken_);
  if (file_ != nullptr) broken_ = EndSegment();
  if (broken_.ok()) broken_ = fs_->SyncDirectory(directory_);
  return broken_;
}

absl::Status Writer::StartSegment() {
  const std::string path = io::JoinPath(directory_, SegmentFileName(next_segment_));
  NARTHEX_ASSIGN_OR_RETURN(file_, fs_->Create(path));
  ++next_segment_;
  AppendBig(&buffer_, kMagic);
  buffer_.push_back(static_cast<char>(kVersion));
  buffer_.append(3, '\0');
  segment_bytes_ = kHeaderSize;
  size_bytes_ += kHeaderSize;
  return absl::OkStatus();
}

absl::Status Writer::EndSegment() {
  NARTHEX_RETURN_IF_ERROR(Flush());
  NARTHEX_RETURN_IF_ERROR(file_->Sync());
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  file_ = nullptr;
  return absl::OkStatus();
}

absl::Status Writer::Flush() {
  NARTHEX_RETURN_IF_ERROR(file_->Append(buffer_));
  unsynced_bytes_ += buffer_.size();
  buffer_.clear();
  if (unsynced_bytes_ < kSyncBytes) return absl::OkStatus();
  unsynced_bytes_ = 0;
  return file_->Sync();
}

}  // namespace narthex::chunks
