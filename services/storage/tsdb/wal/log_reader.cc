#include "services/storage/tsdb/wal/log_reader.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::wal {
namespace {

// Large enough that handing over costs nothing, small enough that many fit in memory.
constexpr size_t kPieceBytes = size_t{256} << 10;

}  // namespace

LogReader::LogReader(io::FileSystem* fs, std::vector<Segment> segments, Options options)
    : fs_(fs),
      segments_(std::move(segments)),
      options_(options),
      pieces_max_(static_cast<uint64_t>(options.threads) * 3 + 2) {
  NARTHEX_CHECK(options_.threads >= 1);
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back("log-reader", [this] { Run(); });
  }
}

LogReader::~LogReader() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    changed_.SignalAll();
  }
  threads_.clear();
}

bool LogReader::Next(LogPiece* piece) {
  MutexLock lock(&mu_);
  while (true) {
    if (total_ && taken_ >= *total_) return false;
    const auto it = ready_.find(taken_);
    if (it != ready_.end()) {
      *piece = std::move(it->second);
      ready_.erase(it);
      ++taken_;
      changed_.SignalAll();
      return true;
    }
    changed_.Wait(&mu_);
  }
}

bool LogReader::Walk(RawPiece* raw, LogPiece* piece) {
  raw->bytes.clear();
  raw->records.clear();
  if (walked_ || segment_ >= segments_.size()) return false;
  piece->segment = segment_;
  if (open_.reader == nullptr) {
    piece->first = true;
    const Segment& segment = segments_[segment_];
    const uint64_t offset = segment_ == 0 ? options_.first_offset : 0;
    if (segment.size_bytes > 0) {  // An empty one was cut off when it was made: says nothing.
      absl::StatusOr<std::unique_ptr<io::MappedFile>> file = fs_->Map(segment.path);
      if (!file.ok()) {
        piece->last = true;
        piece->status = file.status();
        walked_ = true;
        return true;
      }
      open_.file = std::move(*file);
    }
    const std::string_view bytes = open_.file ? open_.file->bytes() : std::string_view();
    open_.reader = std::make_unique<SegmentReader>(bytes, std::min<uint64_t>(offset, bytes.size()));
  }
  SegmentReader& reader = *open_.reader;
  while (raw->bytes.size() < kPieceBytes) {
    if (!reader.NextRaw()) {
      piece->last = true;
      piece->status = reader.status();
      piece->torn = reader.torn();
      piece->good_bytes = reader.offset();
      walked_ = !piece->status.ok();
      open_ = OpenSegment();
      ++segment_;
      return true;
    }
    const size_t begin = raw->bytes.size();
    raw->bytes.append(reader.raw_record());
    raw->records.push_back({reader.offset(), reader.compression(), begin, raw->bytes.size()});
  }
  return true;
}

void LogReader::Decode(const RawPiece& raw, LogPiece* piece) const {
  piece->records.reserve(raw.records.size());
  for (const RawRecord& from : raw.records) {
    const std::string_view bytes =
        std::string_view(raw.bytes).substr(from.begin, from.end - from.begin);
    LogRecord& record = piece->records.emplace_back();
    record.segment = segments_[piece->segment].number;
    record.offset = from.offset;
    absl::Status status = SegmentReader::Uncompress(from.compression, bytes, &record.bytes);
    if (status.ok()) {
      record.type = TypeOfRecord(record.bytes);
      if (record.type == RecordType::kSamples || record.type == RecordType::kSamplesV2) {
        status = DecodeSamples(record.bytes, &record.samples);
        record.bytes = std::string();
      }
    }
    if (status.ok()) continue;
    piece->records.pop_back();
    piece->last = true;
    piece->status = Annotate(status, StrCat("offset ", from.offset));
    piece->torn = false;
    piece->good_bytes = from.offset;
    return;
  }
}

void LogReader::Run() {
  RawPiece raw;
  while (true) {
    LogPiece piece;
    uint64_t number;
    {
      MutexLock walk(&walk_mu_);
      {
        MutexLock lock(&mu_);
        while (!stopped_ && cut_ >= taken_ + pieces_max_) changed_.Wait(&mu_);
        if (stopped_) return;
      }
      if (!Walk(&raw, &piece)) {
        MutexLock lock(&mu_);
        total_ = total_.value_or(cut_);
        changed_.SignalAll();
        return;
      }
      number = cut_++;
    }
    Decode(raw, &piece);
    const bool ended = !piece.status.ok();
    MutexLock lock(&mu_);
    // Pieces behind a damaged record may be ready already; nobody gets them.
    if (ended) total_ = std::min(total_.value_or(number + 1), number + 1);
    ready_.emplace(number, std::move(piece));
    changed_.SignalAll();
  }
}

}  // namespace narthex::wal
