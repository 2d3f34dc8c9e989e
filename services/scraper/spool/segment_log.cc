#include "services/scraper/spool/segment_log.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::scraper {
namespace {

// Encoded batches are handed to the operating system in pieces of about this size.
constexpr uint64_t kFlushBytes = uint64_t{1} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentLog>> SegmentLog::Open(io::FileSystem* fs, std::string path,
                                                             uint64_t segment_bytes_max,
                                                             Logger logger) {
  std::unique_ptr<SegmentLog> log(
      new SegmentLog(fs, std::move(path), segment_bytes_max, std::move(logger)));
  NARTHEX_RETURN_IF_ERROR(log->Load());
  return log;
}

absl::Status SegmentLog::Load() {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(path_));
  std::vector<uint64_t> ids;
  for (const std::string& name : names) {
    uint64_t id = 0;
    if (ParseSegmentFileName(name, &id)) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  MutexLock lock(&mu_);
  for (const uint64_t id : ids) {
    next_id_ = id + 1;
    Segment segment;
    segment.id = id;
    segment.path = io::JoinPath(path_, SegmentFileName(id));
    NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<SegmentReader> reader,
                             SegmentReader::Open(fs_, segment.path));
    LoadSegment(&segment, reader.get());
    if (segment.records.empty()) {
      gone_.push_back(segment.path);
      continue;
    }
    size_bytes_ += segment.size_bytes;
    segments_.push_back(std::move(segment));
  }
  RemoveFiles();
  return absl::OkStatus();
}

void SegmentLog::LoadSegment(Segment* segment, SegmentReader* reader) {
  const absl::StatusOr<uint64_t> file_size = fs_->FileSize(segment->path);
  const uint64_t limit = file_size.ok() ? *file_size : 0;
  storage::AppendBatch batch;
  uint64_t series = 0;
  uint64_t last = segments_.empty() ? 0 : segments_.back().records.back().sequence;
  absl::Status status = file_size.status();
  while (status.ok()) {
    const absl::StatusOr<SegmentReader::Record> record = reader->Next(limit);
    status = record.status();
    if (status.ok()) status = DecodeSegmentBatch(record->batch, series, &batch);
    if (status.ok() && record->sequence <= last) {
      status = absl::DataLossError("the sequences do not grow");
    }
    if (!status.ok()) break;
    series += batch.definitions.size();
    last = record->sequence;
    segment->records.push_back({last, batch.refs.size()});
    segment->size_bytes = reader->offset();
  }
  // A torn tail is what the end of a process leaves; anything else is worth more than a line of
  // debugging.
  if (absl::IsNotFound(status)) {
    if (limit > segment->size_bytes) {
      logger_.Info("a spool segment ends within a record",
                   {{"segment", segment->path}, {"bytes", limit - segment->size_bytes}});
    }
  } else {
    logger_.Error(
        "a spool segment is damaged; its rest is lost",
        {{"segment", segment->path}, {"bytes", limit - segment->size_bytes}, {"err", status}});
  }
}

absl::Status SegmentLog::BeginSegment() {
  Segment segment;
  segment.id = next_id_++;
  segment.path = io::JoinPath(path_, SegmentFileName(segment.id));
  NARTHEX_ASSIGN_OR_RETURN(writer_, SegmentWriter::Create(fs_, segment.path));
  MutexLock lock(&mu_);
  segments_.push_back(std::move(segment));
  return absl::OkStatus();
}

absl::Status SegmentLog::FlushSegment(std::vector<Record>* records) {
  const absl::Status status = writer_->Flush();
  if (!status.ok()) {
    AbandonSegment();
    return status;
  }
  MutexLock lock(&mu_);
  Segment& segment = segments_.back();
  segment.records.insert(segment.records.end(), records->begin(), records->end());
  size_bytes_ += writer_->size_bytes() - segment.size_bytes;
  segment.size_bytes = writer_->size_bytes();
  records->clear();
  return absl::OkStatus();
}

// After a failed write: the next one begins a new segment. One without a whole record goes, so that
// a full disk does not fill with empty files.
void SegmentLog::AbandonSegment() {
  writer_.reset();
  {
    MutexLock lock(&mu_);
    if (!segments_.back().records.empty()) return;
    gone_.push_back(segments_.back().path);
    segments_.pop_back();
  }
  RemoveFiles();
}

absl::Status SegmentLog::Write(std::span<const SequencedBatch> batches,
                               const storage::SeriesTable& table) {
  std::vector<Record> pending;
  uint64_t flushed_bytes = 0;
  for (const SequencedBatch& item : batches) {
    if (writer_ != nullptr && writer_->size_bytes() >= segment_bytes_max_) {
      NARTHEX_RETURN_IF_ERROR(FlushSegment(&pending));
      const absl::Status synced = writer_->Sync();
      writer_.reset();
      NARTHEX_RETURN_IF_ERROR(synced);
    }
    if (writer_ == nullptr) {
      NARTHEX_RETURN_IF_ERROR(BeginSegment());
      flushed_bytes = 0;
    }
    writer_->Add(item.sequence, *item.batch, table);
    pending.push_back({item.sequence, item.batch->size()});
    if (writer_->size_bytes() - flushed_bytes >= kFlushBytes) {
      NARTHEX_RETURN_IF_ERROR(FlushSegment(&pending));
      flushed_bytes = writer_->size_bytes();
    }
  }
  return pending.empty() ? absl::OkStatus() : FlushSegment(&pending);
}

absl::Status SegmentLog::Sync() {
  if (writer_ == nullptr) return absl::OkStatus();
  absl::Status status = writer_->Sync();
  if (status.ok()) status = fs_->SyncDirectory(path_);
  if (!status.ok()) writer_.reset();
  return status;
}

void SegmentLog::RemoveThrough(uint64_t sequence) {
  {
    MutexLock lock(&mu_);
    while (!segments_.empty()) {
      const std::vector<Record>& records = segments_.front().records;
      // A segment without records is either the one that was just begun or one whose first write
      // failed.
      const bool begun = segments_.size() == 1 && writer_ != nullptr;
      if (records.empty() ? begun : records.back().sequence > sequence) break;
      if (begun) writer_.reset();
      RemoveFrontLocked();
    }
  }
  RemoveFiles();
}

uint64_t SegmentLog::RemoveBeyond(uint64_t bytes_max, uint64_t durable) {
  uint64_t lost = 0;
  {
    MutexLock lock(&mu_);
    while (size_bytes_ > bytes_max && segments_.size() > 1) {
      for (const Record& record : segments_.front().records) {
        if (record.sequence > durable) lost += record.samples;
      }
      RemoveFrontLocked();
    }
  }
  RemoveFiles();
  return lost;
}

void SegmentLog::RemoveFrontLocked() {
  size_bytes_ -= segments_.front().size_bytes;
  gone_.push_back(segments_.front().path);
  segments_.pop_front();
}

void SegmentLog::RemoveFiles() {
  for (const std::string& path : std::exchange(gone_, {})) {
    const absl::Status status = fs_->Remove(path);
    if (!status.ok()) logger_.Warn("cannot remove a spool segment", {{"err", status}});
  }
}

std::optional<SegmentLog::Place> SegmentLog::Find(uint64_t after) const {
  MutexLock lock(&mu_);
  for (const Segment& segment : segments_) {
    if (segment.records.empty() || segment.records.back().sequence <= after) continue;
    return Place{segment.id, segment.path, segment.size_bytes};
  }
  return std::nullopt;
}

bool SegmentLog::Has(uint64_t after, uint64_t before) const {
  MutexLock lock(&mu_);
  for (const Segment& segment : segments_) {
    if (segment.records.empty() || segment.records.back().sequence <= after) continue;
    const auto it = std::upper_bound(
        segment.records.begin(), segment.records.end(), after,
        [](uint64_t sequence, const Record& record) { return sequence < record.sequence; });
    return it->sequence < before;
  }
  return false;
}

uint64_t SegmentLog::Cut(uint64_t id, uint64_t sequence) {
  MutexLock lock(&mu_);
  uint64_t lost = 0;
  for (Segment& segment : segments_) {
    if (segment.id != id) continue;
    while (!segment.records.empty() && segment.records.back().sequence > sequence) {
      lost += segment.records.back().samples;
      segment.records.pop_back();
    }
  }
  return lost;
}

uint64_t SegmentLog::last_sequence() const {
  MutexLock lock(&mu_);
  for (auto it = segments_.rbegin(); it != segments_.rend(); ++it) {
    if (!it->records.empty()) return it->records.back().sequence;
  }
  return 0;
}

uint64_t SegmentLog::size_bytes() const {
  MutexLock lock(&mu_);
  return size_bytes_;
}

size_t SegmentLog::segments() const {
  MutexLock lock(&mu_);
  return segments_.size();
}

}  // namespace narthex::scraper
