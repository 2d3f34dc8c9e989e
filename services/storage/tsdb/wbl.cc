#include "services/storage/tsdb/wbl.h"

#include <utility>
#include <vector>

#include "lib/base/status_macros.h"
#include "services/storage/tsdb/wal/reader.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::tsdb {

absl::Status Wbl::Log(std::span<const std::string_view> records) {
  std::shared_ptr<wal::Writer> log = writer();
  if (log == nullptr) {
    uint64_t segment;
    {
      MutexLock lock(&mu_);
      segment = segment_;
    }
    NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(directory_));
    NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(std::string(io::DirName(directory_))));
    NARTHEX_ASSIGN_OR_RETURN(log, wal::Writer::Open(fs_, directory_, segment, options_,
                                                    [](uint64_t, std::vector<std::string>*) {}));
    MutexLock lock(&mu_);
    writer_ = log;
  }
  return log->Log(records);
}

absl::Status Wbl::Sync() {
  const std::shared_ptr<wal::Writer> log = writer();
  return log == nullptr ? absl::OkStatus() : log->Sync();
}

absl::StatusOr<uint64_t> Wbl::Cut() {
  const std::shared_ptr<wal::Writer> log = writer();
  if (log != nullptr) NARTHEX_RETURN_IF_ERROR(log->Sync());
  MutexLock lock(&mu_);
  if (writer_ != nullptr) {
    segment_ = writer_->counters().segment.load(std::memory_order_relaxed) + 1;
    bytes_of_past_writers_ += writer_->counters().bytes_written.load(std::memory_order_relaxed);
    writer_ = nullptr;
  }
  return segment_;
}

absl::Status Wbl::DeleteBefore(uint64_t segment) {
  if (!fs_->Exists(directory_)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<wal::Segment> segments,
                           wal::ListSegments(fs_, directory_));
  for (const wal::Segment& old : segments) {
    if (old.number >= segment) break;
    NARTHEX_RETURN_IF_ERROR(fs_->Remove(old.path));
  }
  return fs_->SyncDirectory(directory_);
}

wal::LogPlace Wbl::place() const {
  MutexLock lock(&mu_);
  if (writer_ == nullptr) return {segment_, 0};
  const wal::Writer::Position position = writer_->position();
  return {position.segment, position.offset};
}

absl::Status Wbl::broken() const {
  const std::shared_ptr<wal::Writer> log = writer();
  return log == nullptr ? absl::OkStatus() : log->broken();
}

uint64_t Wbl::bytes_written() const {
  MutexLock lock(&mu_);
  return bytes_of_past_writers_ +
         (writer_ == nullptr ? 0
                             : writer_->counters().bytes_written.load(std::memory_order_relaxed));
}

void WblExtent::Look() {
  looked_ = true;
  if (!fs_->Exists(directory_)) return;
  const absl::StatusOr<std::vector<wal::Segment>> segments = wal::ListSegments(fs_, directory_);
  if (!segments.ok()) return;
  for (const wal::Segment& segment : *segments) {
    uint64_t& good_bytes = good_bytes_[segment.number];
    if (segment.size_bytes == 0) continue;
    const absl::StatusOr<std::unique_ptr<io::MappedFile>> file = fs_->Map(segment.path);
    if (!file.ok()) return;
    wal::SegmentReader reader((*file)->bytes());
    while (reader.Next()) {
    }
    good_bytes = reader.offset();
    if (!reader.status().ok()) return;
  }
}

bool WblExtent::Reaches(const wal::LogPlace& place) {
  if (!looked_) Look();
  if (good_bytes_.empty()) return false;
  if (place.segment < good_bytes_.begin()->first) return true;  // Is in blocks.
  const auto found = good_bytes_.find(place.segment);
  // What is left of a page behind its last record is filled where it has no room for another.
  return found != good_bytes_.end() && found->second + wal::kFragmentHeaderSize > place.offset;
}

}  // namespace narthex::tsdb
