// Pages, fragments and segments as in format.md.
#include "services/storage/tsdb/wal/writer.h"

#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/compression.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::wal {

Writer::Writer(io::FileSystem* fs, std::string directory, WriterOptions options,
               SegmentStart segment_start)
    : fs_(fs),
      directory_(std::move(directory)),
      options_(options),
      segment_start_(std::move(segment_start)) {
  NARTHEX_CHECK(options_.segment_size_bytes >= 2 * kPageSize);
  NARTHEX_CHECK(options_.segment_size_bytes % kPageSize == 0);
}

Writer::~Writer() = default;

absl::StatusOr<std::unique_ptr<Writer>> Writer::Open(io::FileSystem* fs, std::string directory,
                                                     uint64_t segment, WriterOptions options,
                                                     SegmentStart segment_start) {
  std::unique_ptr<Writer> writer(
      new Writer(fs, std::move(directory), options, std::move(segment_start)));
  NARTHEX_RETURN_IF_ERROR(writer->OpenSegment(segment));
  return writer;
}

absl::Status Writer::OpenSegment(uint64_t segment) {
  const std::string path = io::JoinPath(directory_, SegmentName(segment));
  if (fs_->Exists(path)) return AlreadyExists("log segment ", path, " exists already");
  NARTHEX_ASSIGN_OR_RETURN(File file, fs_->Create(path));
  std::vector<std::string> records;
  segment_start_(segment, &records);
  written_ = 0;
  pending_.clear();
  for (const std::string& record : records) AddRecord(record);
  absl::Status status = file->Append(pending_);
  if (status.ok()) status = fs_->SyncDirectory(directory_);
  if (!status.ok()) {
    pending_.clear();
    counters_.writes_failed.fetch_add(1, std::memory_order_relaxed);
    file.reset();
    // The file is empty or torn; while it is there the next try would find it in its way.
    const absl::Status removed = fs_->Remove(path);
    if (!removed.ok()) Break(removed);
    return status;
  }
  written_ = pending_.size();
  counters_.bytes_written.fetch_add(pending_.size(), std::memory_order_relaxed);
  pending_.clear();
  segment_ = segment;
  counters_.segment.store(segment, std::memory_order_relaxed);
  file_ = std::move(file);
  MutexLock lock(&mu_);
  unsynced_.push_back(file_);
  return absl::OkStatus();
}

absl::Status Writer::EndSegment() {
  const uint64_t size = written_ + pending_.size();
  if (size % kPageSize != 0) pending_.append(kPageSize - size % kPageSize, '\0');
  NARTHEX_RETURN_IF_ERROR(Flush());
  file_ = nullptr;
  return absl::OkStatus();
}

bool Writer::Fits(size_t record_size) const {
  constexpr size_t kPageRoom = kPageSize - kFragmentHeaderSize;
  const uint64_t position = written_ + pending_.size();
  const uint64_t pages_left = options_.segment_size_bytes / kPageSize - position / kPageSize;
  if (pages_left == 0) return false;
  const uint64_t page_left = kPageSize - position % kPageSize - kFragmentHeaderSize;
  return record_size <= page_left + kPageRoom * (pages_left - 1);
}

void Writer::AddFragment(uint8_t head, std::string_view data) {
  char header[kFragmentHeaderSize];
  header[0] = static_cast<char>(head);
  StoreBig(header + 1, static_cast<uint16_t>(data.size()));
  StoreBig(header + 3, Crc32c(data));
  pending_.append(header, sizeof header);
  pending_.append(data);
  counters_.fragments.fetch_add(1, std::memory_order_relaxed);
  // A page with no room for another header is full.
  const uint64_t page_used = (written_ + pending_.size()) % kPageSize;
  const uint64_t page_left = page_used == 0 ? 0 : kPageSize - page_used;
  if (page_left < kFragmentHeaderSize) {
    pending_.append(page_left, '\0');
    counters_.pages_completed.fetch_add(1, std::memory_order_relaxed);
  }
}

void Writer::AddRecord(std::string_view record) {
  uint8_t flags = 0;
  if (options_.compress) {
    const std::string_view smaller =
        options_.zstd ? CompressZstd(record, &compressed_) : CompressSnappy(record, &compressed_);
    if (!smaller.empty()) {
      record = smaller;
      flags = options_.zstd ? kZstdFlag : kSnappyFlag;
    }
  }
  bool first = true;
  do {
    const uint64_t page_left = kPageSize - (written_ + pending_.size()) % kPageSize;
    const std::string_view data =
        record.substr(0, static_cast<size_t>(page_left) - kFragmentHeaderSize);
    record.remove_prefix(data.size());
    FragmentType type = FragmentType::kMiddle;
    if (record.empty()) {
      type = first ? FragmentType::kFull : FragmentType::kLast;
    } else if (first) {
      type = FragmentType::kFirst;
    }
    AddFragment(static_cast<uint8_t>(static_cast<uint8_t>(type) | flags), data);
    first = false;
  } while (!record.empty());
}

absl::Status Writer::Flush() {
  const absl::Status status = file_->Append(pending_);
  if (status.ok()) {
    written_ += pending_.size();
    counters_.bytes_written.fetch_add(pending_.size(), std::memory_order_relaxed);
    counters_.page_flushes.fetch_add(1, std::memory_order_relaxed);
    pending_.clear();
    return absl::OkStatus();
  }
  counters_.writes_failed.fetch_add(1, std::memory_order_relaxed);
  pending_.clear();
  const absl::Status taken_back = file_->Truncate(written_);
  if (!taken_back.ok()) Break(taken_back);
  return status;
}

absl::Status Writer::Log(std::span<const std::string_view> records) {
  NARTHEX_RETURN_IF_ERROR(broken());
  if (file_ == nullptr) NARTHEX_RETURN_IF_ERROR(OpenSegment(segment_ + 1));
  for (const std::string_view record : records) {
    NARTHEX_CHECK(record.size() < options_.segment_size_bytes / 2);
    // Judged by the size before compression, which is what the record takes at most.
    if (!Fits(record.size())) {
      NARTHEX_RETURN_IF_ERROR(EndSegment());
      NARTHEX_RETURN_IF_ERROR(OpenSegment(segment_ + 1));
    }
    AddRecord(record);
  }
  return Flush();
}

absl::Status Writer::NextSegment() {
  NARTHEX_RETURN_IF_ERROR(broken());
  if (file_ != nullptr) NARTHEX_RETURN_IF_ERROR(EndSegment());
  return OpenSegment(segment_ + 1);
}

absl::Status Writer::Sync() {
  std::vector<File> files;
  {
    MutexLock lock(&mu_);
    NARTHEX_RETURN_IF_ERROR(broken_);
    files = unsynced_;
  }
  for (const File& file : files) {
    const absl::Status status = file->Sync();
    if (!status.ok()) {
      Break(status);
      return status;
    }
  }
  // The last one may have grown since.
  MutexLock lock(&mu_);
  if (!files.empty()) {
    unsynced_.erase(unsynced_.begin(),
                    unsynced_.begin() + static_cast<ptrdiff_t>(files.size() - 1));
  }
  return absl::OkStatus();
}

absl::Status Writer::broken() const {
  MutexLock lock(&mu_);
  return broken_;
}

void Writer::Break(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (broken_.ok()) broken_ = Annotate(status, "the write-ahead log is broken until a restart");
}

}  // namespace narthex::wal
