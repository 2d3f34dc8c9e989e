// How a snapshot is read. All of it is gone through before anything is in the head; then this
// thread makes the series, and another one gives them their samples.
#include <bit>
#include <memory>
#include <utility>

#include "lib/base/bounded_queue.h"
#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "services/storage/tsdb/head_snapshot.h"
#include "services/storage/tsdb/head_snapshot_format.h"

namespace narthex::tsdb {

using head_snapshot::DecodeMoment;
using head_snapshot::kHasWindow;
using head_snapshot::kMagic;
using head_snapshot::kSectionHeaderSize;
using head_snapshot::Malformed;
using head_snapshot::SectionType;

namespace head_snapshot {

absl::Status DecodeMoment(std::string_view body, HeadSnapshotMoment* moment) {
  ByteReader reader(body);
  std::string_view space;
  uint8_t truncated;
  if (!reader.ReadLengthPrefixed(&space) || !reader.ReadBig(&moment->session) ||
      !reader.ReadUvarint(&moment->segment) || !reader.ReadUvarint(&moment->offset) ||
      !reader.ReadBig(&moment->tail_checksum) || !reader.ReadUvarint(&moment->next_reference) ||
      !reader.ReadBig(&moment->chunks_end) || !reader.ReadByte(&truncated)) {
    return Malformed("moment");
  }
  moment->reference_space = space;
  if (moment->next_reference == 0) return Malformed("moment");
  if (truncated != 0) {
    wal::Truncation truncation;
    if (!reader.ReadVarint(&truncation.min_time) || !reader.ReadBig(&truncation.chunks_end)) {
      return Malformed("moment");
    }
    moment->truncation = truncation;
  }
  uint64_t senders;
  if (!reader.ReadUvarint(&senders)) return Malformed("moment");
  for (uint64_t i = 0; i < senders; ++i) {
    std::string_view id;
    uint64_t sequence;
    if (!reader.ReadLengthPrefixed(&id) || !reader.ReadUvarint(&sequence)) {
      return Malformed("moment");
    }
    moment->senders.emplace_back(id, sequence);
  }
  return absl::OkStatus();
}

}  // namespace head_snapshot

namespace {

// Differences in a file that is no snapshot may be any.
Timestamp Add(Timestamp time, int64_t difference) {
  return static_cast<Timestamp>(static_cast<uint64_t>(time) + static_cast<uint64_t>(difference));
}

bool ReadOpenChunk(ByteReader* reader, OpenChunkImage* open) {
  int64_t duration;
  std::string_view bytes;
  uint64_t value;
  uint8_t flags;
  chunkenc::XorState& state = open->state;
  if (!reader->ReadVarint(&open->min_time) || !reader->ReadVarint(&open->cut_at) ||
      !reader->ReadLengthPrefixed(&bytes)) {
    return false;
  }
  open->bytes.assign(bytes);
  if (open->encoding != chunkenc::Encoding::kXor) return true;
  if (!reader->ReadVarint(&duration) || !reader->ReadVarint(&state.delta) ||
      !reader->ReadBig(&value) || !reader->ReadByte(&state.leading) ||
      !reader->ReadByte(&state.trailing) || !reader->ReadByte(&flags)) {
    return false;
  }
  state.timestamp = Add(open->min_time, duration);
  state.value = std::bit_cast<double>(value);
  state.count = chunkenc::XorSampleCount(bytes);
  state.free_bits = flags & static_cast<uint8_t>(~kHasWindow);
  state.window = (flags & kHasWindow) != 0;
  return true;
}

bool ReadImage(ByteReader* reader, SeriesImage* image) {
  constexpr size_t kChunkBytesMin = sizeof(ChunkPlace) + 2;
  constexpr size_t kIntervalBytesMin = 2;
  uint64_t count;
  if (!reader->ReadUvarint(&count) || count > reader->remaining() / kChunkBytesMin) return false;
  image->closed.clear();
  Timestamp time = 0;
  for (uint64_t i = 0; i < count; ++i) {
    SeriesImage::Chunk chunk;
    int64_t after;
    int64_t duration;
    if (!reader->ReadBig(&chunk.place) || !reader->ReadVarint(&after) ||
        !reader->ReadVarint(&duration)) {
      return false;
    }
    chunk.min_time = Add(time, after);
    chunk.max_time = Add(chunk.min_time, duration);
    time = chunk.max_time;
    image->closed.push_back(chunk);
  }
  uint8_t encoding;
  if (!reader->ReadByte(&encoding)) return false;
  image->open.bytes.clear();
  image->open.state = chunkenc::XorState();
  image->open.encoding = static_cast<chunkenc::Encoding>(encoding);
  if (encoding != 0 && !ReadOpenChunk(reader, &image->open)) return false;
  if (!reader->ReadUvarint(&count) || count > reader->remaining() / kIntervalBytesMin) return false;
  image->deleted.clear();
  for (uint64_t i = 0; i < count; ++i) {
    storage::DeletedInterval interval;
    if (!reader->ReadVarint(&interval.min_time) || !reader->ReadVarint(&interval.max_time)) {
      return false;
    }
    image->deleted.push_back(interval);
  }
  return true;
}

bool ReadPairNumbers(ByteReader* reader, uint64_t pairs, std::vector<PairId>* numbers) {
  uint64_t count;
  if (!reader->ReadUvarint(&count) || count == 0 || count > reader->remaining()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t number;
    if (!reader->ReadUvarint(&number) || number >= pairs) return false;
    numbers->push_back(static_cast<PairId>(number));
  }
  return true;
}

}  // namespace

// Gives series their samples, section by section, on a thread of its own.
class HeadSnapshot::Samples {
 public:
  explicit Samples(HeadLoader* loader) : worker_(loader) {
    thread_ = Thread("snapshot-load", [this] {
      while (std::optional<Section> section = queue_.Pop()) Restore(*section);
    });
  }
  ~Samples() { Finish(); }
  void Add(std::vector<Slot> slots, std::string_view body) {
    queue_.Push({std::move(slots), body});
  }
  void Finish() {
    queue_.Close();
    thread_.Join();
  }
  // After Finish().
  const LoadResult& result() const { return result_; }

 private:
  struct Section {
    std::vector<Slot> slots;
    std::string_view body;
  };
  void Restore(const Section& section) {
    ByteReader reader(section.body);
    for (const Slot slot : section.slots) {
      int64_t reference;
      pairs_.clear();
      // It was gone through before.
      NARTHEX_CHECK(reader.ReadVarint(&reference) &&
                    ReadPairNumbers(&reader, UINT64_MAX, &pairs_) && ReadImage(&reader, &image_));
      // What it held stays held: the series may have taken some of it.
      if (!worker_.Restore(slot, image_).ok()) {
        ++result_.series_damaged;
        continue;
      }
      result_.chunks_closed += image_.closed.size();
      if (!image_.open.bytes.empty()) ++result_.chunks_open;
    }
  }

  static constexpr size_t kSectionsWaiting = 4;

  HeadLoader::Worker worker_;
  BoundedQueue<Section> queue_{kSectionsWaiting};
  LoadResult result_;
  SeriesImage image_;          // Kept for its memory.
  std::vector<PairId> pairs_;  // Likewise.
  Thread thread_;
};

// Where Visit() is.
struct HeadSnapshot::Visitor {
  // Null where the sections are only gone through.
  Head* head = nullptr;
  HeadLoader* loader = nullptr;
  Samples* samples = nullptr;

  uint64_t pairs = 0;
  std::vector<PairId> pair_ids;  // By their number in the snapshot.
};

absl::StatusOr<std::unique_ptr<HeadSnapshot>> HeadSnapshot::Open(io::FileSystem* fs,
                                                                 const std::string& path) {
  if (!fs->Exists(path)) return NotFound("there is no snapshot ", path);
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> file, fs->Map(path));
  std::unique_ptr<HeadSnapshot> snapshot(new HeadSnapshot(std::move(file)));
  NARTHEX_RETURN_IF_ERROR(snapshot->ReadSections());
  return snapshot;
}

absl::Status HeadSnapshot::ReadSections() {
  ByteReader reader(file_->bytes());
  std::string_view magic;
  if (!reader.ReadBytes(kMagic.size(), &magic) || magic != kMagic) {
    return DataLoss("snapshot: not one of this version");
  }
  while (sections_.empty() || sections_.back().type != SectionType::kEnd) {
    const size_t offset = reader.offset();
    const std::string_view head = reader.rest().substr(0, kSectionHeaderSize - sizeof(uint32_t));
    Section section;
    uint32_t size;
    uint32_t checksum;
    if (!reader.ReadByte(&section.type) || !reader.ReadBig(&size) || !reader.ReadBig(&checksum) ||
        !reader.ReadBytes(size, &section.body)) {
      return DataLoss("snapshot: the file ends within the section at offset ", offset);
    }
    if (ExtendCrc32c(Crc32c(head), section.body) != checksum) {
      return DataLoss("snapshot: checksum mismatch in the section at offset ", offset);
    }
    sections_.push_back(section);
  }
  ByteReader end(sections_.back().body);
  uint64_t count;
  if (!end.ReadUvarint(&count) || count != sections_.size() - 1 || !reader.done()) {
    return Malformed("end");
  }
  if (sections_.front().type != SectionType::kMoment) return Malformed("start");
  NARTHEX_RETURN_IF_ERROR(DecodeMoment(sections_.front().body, &moment_));
  // Nothing must turn out to be malformed when a half of it is in the head.
  LoadResult seen;
  Visitor visitor;
  NARTHEX_RETURN_IF_ERROR(Visit(&visitor, {}, {}, &seen));
  series_ = seen.series;
  return absl::OkStatus();
}

bool HeadSnapshot::HoldChunks(HeadChunks* chunk_files) const {
  std::vector<ChunkPlace> held;
  for (const Section& section : sections_) {
    if (section.type != SectionType::kPlaces) continue;
    ByteReader reader(section.body);
    ChunkPlace place = 0;
    while (!reader.done()) {
      int64_t delta;
      const bool read = reader.ReadVarint(&delta);
      if (read) place += static_cast<uint64_t>(delta);
      if (read && chunk_files->Hold(place)) {
        held.push_back(place);
        continue;
      }
      for (const ChunkPlace release : held) chunk_files->Release(release);
      return false;
    }
  }
  return true;
}

absl::Status HeadSnapshot::Load(Head* head, HeadLoader* loader,
                                const std::function<void(uint64_t reference)>& on_series,
                                const std::function<bool()>& stopped, LoadResult* result) const {
  loader->Reserve(static_cast<size_t>(series_));
  Samples samples(loader);
  Visitor visitor;
  visitor.head = head;
  visitor.loader = loader;
  visitor.samples = &samples;
  const absl::Status status = Visit(&visitor, on_series, stopped, result);
  samples.Finish();
  result->chunks_open = samples.result().chunks_open;
  result->chunks_closed = samples.result().chunks_closed;
  result->series_damaged = samples.result().series_damaged;
  return status;
}

absl::Status HeadSnapshot::Visit(Visitor* visitor,
                                 const std::function<void(uint64_t reference)>& on_series,
                                 const std::function<bool()>& stopped, LoadResult* result) const {
  for (const Section& section : sections_) {
    if (stopped && stopped()) return Cancelled("stopped while the snapshot of the head was loaded");
    switch (section.type) {
      case SectionType::kPairs:
        NARTHEX_RETURN_IF_ERROR(ReadPairs(section.body, visitor));
        break;
      case SectionType::kSeries:
        NARTHEX_RETURN_IF_ERROR(LoadSeries(section.body, visitor, on_series, result));
        break;
      case SectionType::kMetadata:
        NARTHEX_RETURN_IF_ERROR(LoadMetadata(section.body, visitor->loader));
        break;
      case SectionType::kExemplars:
        NARTHEX_RETURN_IF_ERROR(LoadExemplars(section.body, visitor->loader));
        break;
      case SectionType::kAliases:
        NARTHEX_RETURN_IF_ERROR(LoadAliases(section.body, visitor->head, result));
        break;
      default:
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status HeadSnapshot::ReadPairs(std::string_view body, Visitor* visitor) const {
  ByteReader reader(body);
  std::vector<LabelView> pairs;
  while (!reader.done()) {
    LabelView pair;
    if (!reader.ReadLengthPrefixed(&pair.name) || !reader.ReadLengthPrefixed(&pair.value)) {
      return Malformed("pairs");
    }
    pairs.push_back(pair);
  }
  visitor->pairs += pairs.size();
  if (visitor->loader != nullptr) visitor->loader->Intern(pairs, &visitor->pair_ids);
  return absl::OkStatus();
}

absl::Status HeadSnapshot::LoadSeries(std::string_view body, Visitor* visitor,
                                      const std::function<void(uint64_t reference)>& on_series,
                                      LoadResult* result) const {
  ByteReader reader(body);
  SeriesImage image;
  std::vector<PairId> pairs;
  std::vector<SeriesIndex::NumberedSeries> series;
  std::vector<size_t> ends;  // Of the pairs of each series.
  uint64_t reference = 0;
  while (!reader.done()) {
    int64_t delta;
    if (!reader.ReadVarint(&delta)) return Malformed("series");
    reference += static_cast<uint64_t>(delta);
    if (!ReadPairNumbers(&reader, visitor->pairs, &pairs) || !ReadImage(&reader, &image) ||
        reference == 0 || reference > wal::kReferenceMax) {
      return Malformed("series");
    }
    series.push_back({reference, {}});
    ends.push_back(pairs.size());
  }
  result->series += series.size();
  if (visitor->loader == nullptr) return absl::OkStatus();
  for (PairId& pair : pairs) pair = visitor->pair_ids[pair];
  size_t begin = 0;
  for (size_t i = 0; i < series.size(); ++i) {
    series[i].pairs = std::span(pairs).subspan(begin, ends[i] - begin);
    begin = ends[i];
  }
  std::vector<Slot> slots;
  NARTHEX_RETURN_IF_ERROR(visitor->loader->AddAll(series, &slots));
  for (const SeriesIndex::NumberedSeries& one : series) on_series(one.reference);
  visitor->samples->Add(std::move(slots), body);
  return absl::OkStatus();
}

absl::Status HeadSnapshot::LoadMetadata(std::string_view body, HeadLoader* loader) const {
  ByteReader reader(body);
  while (!reader.done()) {
    uint8_t type;
    std::string_view unit;
    std::string_view help;
    uint64_t count;
    if (!reader.ReadByte(&type) || !reader.ReadLengthPrefixed(&unit) ||
        !reader.ReadLengthPrefixed(&help) || !reader.ReadUvarint(&count) ||
        count > reader.remaining() || type > static_cast<uint8_t>(MetricType::kStateSet)) {
      return Malformed("metadata");
    }
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t reference;
      if (!reader.ReadUvarint(&reference)) return Malformed("metadata");
      if (loader == nullptr) continue;
      const Slot slot = loader->Find(reference);
      if (slot != kNoSlot) loader->SetMetadata(slot, static_cast<MetricType>(type), help, unit);
    }
  }
  return absl::OkStatus();
}

absl::Status HeadSnapshot::LoadExemplars(std::string_view body, HeadLoader* loader) const {
  ByteReader reader(body);
  std::vector<LabelView> labels;
  while (!reader.done()) {
    uint64_t reference;
    Timestamp timestamp;
    uint64_t bits;
    uint64_t count;
    if (!reader.ReadUvarint(&reference) || !reader.ReadVarint(&timestamp) ||
        !reader.ReadBig(&bits) || !reader.ReadUvarint(&count) || count > reader.remaining()) {
      return Malformed("exemplars");
    }
    labels.clear();
    for (uint64_t i = 0; i < count; ++i) {
      LabelView label;
      if (!reader.ReadLengthPrefixed(&label.name) || !reader.ReadLengthPrefixed(&label.value)) {
        return Malformed("exemplars");
      }
      labels.push_back(label);
    }
    if (loader == nullptr) continue;
    const Slot slot = loader->Find(reference);
    if (slot != kNoSlot) {
      loader->AddExemplar(slot, timestamp, std::bit_cast<double>(bits), labels);
    }
  }
  return absl::OkStatus();
}

absl::Status HeadSnapshot::LoadAliases(std::string_view body, Head* head,
                                       LoadResult* result) const {
  ByteReader reader(body);
  while (!reader.done()) {
    SeriesAlias alias;
    if (!reader.ReadUvarint(&alias.alias) || !reader.ReadUvarint(&alias.reference) ||
        alias.alias == 0 || alias.alias > wal::kReferenceMax) {
      return Malformed("aliases");
    }
    if (head == nullptr) continue;
    const Slot slot = head->table().FindReference(alias.reference);
    if (slot == kNoSlot) continue;  // Was removed since.
    head->table().SetReference(alias.alias, slot);
    result->aliases.push_back(alias);
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
