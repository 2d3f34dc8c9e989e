// A file of sections, as in head_snapshot.md.
#include "services/storage/tsdb/head_snapshot.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kMagic = {"NTHXHEAD\x01", 9};
constexpr size_t kSectionHeaderSize = 1 + 4 + 4;
constexpr size_t kSectionBytes = size_t{1} << 20;  // About; a series is not cut.
constexpr std::string_view kUnfinishedSuffix = ".tmp";

enum SectionType : uint8_t {
  kMoment = 1,
  kPairs = 2,
  kSeries = 3,
  kPlaces = 4,
  kMetadata = 5,
  kExemplars = 6,
  kAliases = 7,
  kEnd = 8,
};

absl::Status Malformed(std::string_view what) { return DataLoss("snapshot: malformed ", what); }

std::string SectionHeader(SectionType type, std::string_view body) {
  std::string header(1, static_cast<char>(type));
  AppendBig(&header, static_cast<uint32_t>(body.size()));
  AppendBig(&header, ExtendCrc32c(Crc32c(header), body));
  return header;
}

// Writes the file, section by section.
class SectionWriter {
 public:
  SectionWriter(io::WritableFile* file, const std::function<absl::Status()>& pause)
      : file_(file), pause_(pause) {}
  absl::Status WriteMagic() { return Append(kMagic); }
  absl::Status Write(SectionType type, std::string_view body) {
    NARTHEX_RETURN_IF_ERROR(Append(SectionHeader(type, body)));
    NARTHEX_RETURN_IF_ERROR(Append(body));
    ++sections_;
    return pause_ ? pause_() : absl::OkStatus();
  }
  uint64_t sections() const { return sections_; }
  uint64_t bytes() const { return bytes_; }

 private:
  absl::Status Append(std::string_view bytes) {
    bytes_ += bytes.size();
    return file_->Append(bytes);
  }
  io::WritableFile* const file_;
  const std::function<absl::Status()>& pause_;
  uint64_t sections_ = 0;
  uint64_t bytes_ = 0;
};

// The series of a head as sections of pairs, series and places.
class SeriesSections {
 public:
  SeriesSections(const Head& head, SectionWriter* out, HeadSnapshotStats* stats)
      : head_(head), out_(out), stats_(stats) {}
  absl::Status Write();

 private:
  struct PairKey {  // Texts are interned, so their addresses tell them apart.
    const char* name;
    const char* value;
    size_t value_size;
    friend bool operator==(const PairKey&, const PairKey&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const PairKey& key) {
      return H::combine(std::move(h), key.name, key.value, key.value_size);
    }
  };
  void AddLabels(std::span<const LabelView> labels, std::string* out);
  void AddImage(const SeriesImage& image);
  absl::Status Flush();

  const Head& head_;
  SectionWriter* const out_;
  HeadSnapshotStats* const stats_;
  absl::flat_hash_map<PairKey, uint64_t> numbers_;
  std::string pairs_;
  std::string series_;
  std::string places_;
  uint64_t previous_reference_ = 0;
  ChunkPlace previous_place_ = 0;
};

void SeriesSections::AddLabels(std::span<const LabelView> labels, std::string* out) {
  AppendUvarint(out, labels.size());
  for (const LabelView& label : labels) {
    const PairKey key = {label.name.data(), label.value.data(), label.value.size()};
    const auto [it, added] = numbers_.try_emplace(key, numbers_.size());
    if (added) {
      AppendLengthPrefixed(&pairs_, label.name);
      AppendLengthPrefixed(&pairs_, label.value);
    }
    AppendUvarint(out, it->second);
  }
}

void SeriesSections::AddImage(const SeriesImage& image) {
  AppendUvarint(&series_, image.closed.size());
  Timestamp previous_time = 0;
  for (const SeriesImage::Chunk& chunk : image.closed) {
    AppendVarint(&places_, static_cast<int64_t>(chunk.place - previous_place_));
    previous_place_ = chunk.place;
    AppendBig(&series_, chunk.place);
    AppendVarint(&series_, chunk.min_time - previous_time);
    AppendVarint(&series_, chunk.max_time - chunk.min_time);
    previous_time = chunk.max_time;
  }
  stats_->chunks_closed += image.closed.size();
  if (image.open_bytes.empty()) {
    series_.push_back(0);
  } else {
    ++stats_->chunks_open;
    series_.push_back(static_cast<char>(image.encoding));
    AppendVarint(&series_, image.open_min_time);
    AppendVarint(&series_, image.cut_at);
    AppendLengthPrefixed(&series_, image.open_bytes);
  }
  AppendUvarint(&series_, image.deleted.size());
  for (const storage::DeletedInterval& interval : image.deleted) {
    AppendVarint(&series_, interval.min_time);
    AppendVarint(&series_, interval.max_time);
  }
}

absl::Status SeriesSections::Flush() {
  // What series lead to comes before them.
  if (!pairs_.empty()) NARTHEX_RETURN_IF_ERROR(out_->Write(kPairs, pairs_));
  if (!places_.empty()) NARTHEX_RETURN_IF_ERROR(out_->Write(kPlaces, places_));
  if (!series_.empty()) NARTHEX_RETURN_IF_ERROR(out_->Write(kSeries, series_));
  pairs_.clear();
  places_.clear();
  series_.clear();
  previous_reference_ = 0;
  previous_place_ = 0;
  return absl::OkStatus();
}

absl::Status SeriesSections::Write() {
  // The index is held for the labels of so many at a time.
  constexpr size_t kSlotsAtOnce = 64;
  const std::vector<Slot> slots = head_.index().Select({});
  SeriesImage image;
  std::string labels[kSlotsAtOnce];
  for (size_t begin = 0; begin < slots.size(); begin += kSlotsAtOnce) {
    const std::span<const Slot> some =
        std::span(slots).subspan(begin, std::min(kSlotsAtOnce, slots.size() - begin));
    for (std::string& text : labels) text.clear();
    head_.index().VisitLabels(
        some, [&](size_t i, std::span<const LabelView> views) { AddLabels(views, &labels[i]); });
    for (size_t i = 0; i < some.size(); ++i) {
      if (labels[i].empty()) continue;
      const uint64_t reference = head_.table().cold(some[i]).reference;
      AppendVarint(&series_, static_cast<int64_t>(reference - previous_reference_));
      previous_reference_ = reference;
      series_.append(labels[i]);
      ReadSeriesImage(head_, some[i], &image);
      AddImage(image);
      ++stats_->series;
    }
    if (series_.size() >= kSectionBytes) NARTHEX_RETURN_IF_ERROR(Flush());
  }
  return Flush();
}

absl::Status WriteMetadata(const Head& head, SectionWriter* out) {
  struct Text {
    Metadata metadata;
    std::vector<uint64_t> references;
  };
  // Series of one metric share a text and mostly lie together.
  absl::flat_hash_map<std::string, Text> texts;
  Text* last = nullptr;
  head.metadata().Visit([&](Slot slot, const Metadata& metadata) {
    if (last == nullptr || !(last->metadata == metadata)) {
      std::string key(1, static_cast<char>(metadata.type));
      AppendLengthPrefixed(&key, metadata.unit);
      key.append(metadata.help);
      last = &texts.try_emplace(std::move(key), Text{metadata, {}}).first->second;
    }
    last->references.push_back(head.table().cold(slot).reference);
  });
  std::string body;
  for (const auto& [key, text] : texts) {
    body.push_back(static_cast<char>(text.metadata.type));
    AppendLengthPrefixed(&body, text.metadata.unit);
    AppendLengthPrefixed(&body, text.metadata.help);
    AppendUvarint(&body, text.references.size());
    for (const uint64_t reference : text.references) AppendUvarint(&body, reference);
    if (body.size() < kSectionBytes) continue;
    NARTHEX_RETURN_IF_ERROR(out->Write(kMetadata, body));
    body.clear();
  }
  return body.empty() ? absl::OkStatus() : out->Write(kMetadata, body);
}

absl::Status WriteExemplars(const Head& head, SectionWriter* out) {
  std::string body;
  std::vector<size_t> ends;
  head.exemplars().Visit([&](Slot slot, const Exemplar& exemplar) {
    AppendUvarint(&body, head.table().cold(slot).reference);
    AppendVarint(&body, exemplar.timestamp);
    AppendBig(&body, std::bit_cast<uint64_t>(exemplar.value));
    AppendUvarint(&body, exemplar.labels.size());
    for (const LabelView label : exemplar.labels) {
      AppendLengthPrefixed(&body, label.name);
      AppendLengthPrefixed(&body, label.value);
    }
    if (body.size() - (ends.empty() ? 0 : ends.back()) >= kSectionBytes)
      ends.push_back(body.size());
  });
  if (!body.empty() && (ends.empty() || ends.back() != body.size())) ends.push_back(body.size());
  size_t begin = 0;
  for (const size_t end : ends) {
    NARTHEX_RETURN_IF_ERROR(
        out->Write(kExemplars, std::string_view(body).substr(begin, end - begin)));
    begin = end;
  }
  return absl::OkStatus();
}

std::string EncodeMoment(const HeadSnapshotMoment& moment) {
  std::string body;
  AppendLengthPrefixed(&body, moment.reference_space);
  AppendBig(&body, moment.session);
  AppendUvarint(&body, moment.segment);
  AppendUvarint(&body, moment.offset);
  AppendBig(&body, moment.tail_checksum);
  AppendUvarint(&body, moment.next_reference);
  AppendBig(&body, moment.chunks_end);
  body.push_back(moment.truncation ? 1 : 0);
  if (moment.truncation) {
    AppendVarint(&body, moment.truncation->min_time);
    AppendBig(&body, moment.truncation->chunks_end);
  }
  AppendUvarint(&body, moment.senders.size());
  for (const auto& [id, sequence] : moment.senders) {
    AppendLengthPrefixed(&body, id);
    AppendUvarint(&body, sequence);
  }
  return body;
}

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

absl::Status WriteSections(Head* head, const HeadSnapshotOptions& options, io::WritableFile* file,
                           HeadSnapshotStats* stats) {
  HeadSnapshotMoment moment;
  moment.chunks_end = head->chunk_files().end();
  const Head::LogMoment log = head->CurrentLogMoment();
  // What senders are at says that their late samples are there.
  NARTHEX_RETURN_IF_ERROR(head->ooo().Sync());
  moment.reference_space = head->reference_space();
  moment.session = log.session;
  moment.segment = log.position.segment;
  moment.offset = log.position.offset;
  NARTHEX_ASSIGN_OR_RETURN(
      moment.tail_checksum,
      LogTailChecksum(options.fs,
                      io::JoinPath(options.log_directory, wal::SegmentName(moment.segment)),
                      moment.offset));
  moment.next_reference = log.next_reference;
  moment.truncation = log.truncation;
  moment.senders = log.senders;

  SectionWriter out(file, options.pause);
  NARTHEX_RETURN_IF_ERROR(out.WriteMagic());
  NARTHEX_RETURN_IF_ERROR(out.Write(kMoment, EncodeMoment(moment)));
  // Each series may have samples from behind the moment; the replay finds them again in the log and
  // leaves them out.
  NARTHEX_RETURN_IF_ERROR(SeriesSections(*head, &out, stats).Write());
  NARTHEX_RETURN_IF_ERROR(WriteMetadata(*head, &out));
  NARTHEX_RETURN_IF_ERROR(WriteExemplars(*head, &out));
  if (!options.aliases.empty()) {
    std::string body;
    for (const SeriesAlias& alias : options.aliases) {
      AppendUvarint(&body, alias.alias);
      AppendUvarint(&body, alias.reference);
    }
    NARTHEX_RETURN_IF_ERROR(out.Write(kAliases, body));
  }
  std::string end;
  AppendUvarint(&end, out.sections());
  NARTHEX_RETURN_IF_ERROR(out.Write(kEnd, end));
  stats->bytes = out.bytes();
  return file->Sync();
}

}  // namespace

absl::StatusOr<HeadSnapshotStats> WriteHeadSnapshot(Head* head,
                                                    const HeadSnapshotOptions& options) {
  HeadSnapshotStats stats;
  const std::string unfinished = StrCat(options.path, kUnfinishedSuffix);
  const auto write = [&]() -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::WritableFile> file,
                             options.fs->Create(unfinished));
    NARTHEX_RETURN_IF_ERROR(WriteSections(head, options, file.get(), &stats));
    NARTHEX_RETURN_IF_ERROR(file->Close());
    // After a power loss there must be no sample here that the log has lost, nor a chunk missing.
    NARTHEX_RETURN_IF_ERROR(head->chunk_files().Sync());
    NARTHEX_RETURN_IF_ERROR(head->Sync());
    return options.fs->Rename(unfinished, options.path);
  };
  const absl::Status status = write();
  if (!status.ok()) {
    // A full disk wants the room back.
    if (options.fs->Exists(unfinished)) options.fs->Remove(unfinished).IgnoreError();
    return Annotate(status, "snapshot of the head");
  }
  NARTHEX_RETURN_IF_ERROR(options.fs->SyncDirectory(std::string(io::DirName(options.path))));
  return stats;
}

absl::StatusOr<uint32_t> LogTailChecksum(io::FileSystem* fs, const std::string& segment_path,
                                         uint64_t offset) {
  constexpr uint64_t kTailBytes = 64;
  const uint64_t size = std::min(kTailBytes, offset);
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::RandomAccessFile> file,
                           fs->OpenRead(segment_path));
  std::string tail;
  NARTHEX_RETURN_IF_ERROR(file->Read(offset - size, static_cast<size_t>(size), &tail));
  if (tail.size() < size) return DataLoss(segment_path, " ends before offset ", offset);
  return Crc32c(tail);
}

std::string MoveHeadSnapshot(std::string_view snapshot, uint64_t offset, uint32_t tail_checksum) {
  const uint32_t size = LoadBig<uint32_t>(snapshot.data() + kMagic.size() + 1);
  const size_t body = kMagic.size() + kSectionHeaderSize;
  HeadSnapshotMoment moment;
  NARTHEX_CHECK_OK(DecodeMoment(snapshot.substr(body, size), &moment));
  moment.offset = offset;
  moment.tail_checksum = tail_checksum;
  const std::string encoded = EncodeMoment(moment);
  return StrCat(kMagic, SectionHeader(kMoment, encoded), encoded, snapshot.substr(body + size));
}

// --- Reading ---

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
  while (sections_.empty() || sections_.back().type != kEnd) {
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
  if (sections_.front().type != kMoment) return Malformed("start");
  NARTHEX_RETURN_IF_ERROR(DecodeMoment(sections_.front().body, &moment_));
  // Nothing must turn out to be malformed when a half of it is in the head.
  LoadResult nothing;
  return Visit(nullptr, nullptr, {}, {}, &nothing);
}

bool HeadSnapshot::HoldChunks(HeadChunks* chunk_files) const {
  std::vector<ChunkPlace> held;
  for (const Section& section : sections_) {
    if (section.type != kPlaces) continue;
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
  return Visit(head, loader, on_series, stopped, result);
}

absl::Status HeadSnapshot::Visit(Head* head, HeadLoader* loader,
                                 const std::function<void(uint64_t reference)>& on_series,
                                 const std::function<bool()>& stopped, LoadResult* result) const {
  std::vector<LabelView> pairs;
  for (const Section& section : sections_) {
    if (stopped && stopped()) return Cancelled("stopped while the snapshot of the head was loaded");
    switch (section.type) {
      case kPairs:
        NARTHEX_RETURN_IF_ERROR(ReadPairs(section.body, &pairs));
        break;
      case kSeries:
        NARTHEX_RETURN_IF_ERROR(LoadSeries(section.body, pairs, loader, on_series, result));
        break;
      case kMetadata:
        NARTHEX_RETURN_IF_ERROR(LoadMetadata(section.body, loader));
        break;
      case kExemplars:
        NARTHEX_RETURN_IF_ERROR(LoadExemplars(section.body, loader));
        break;
      case kAliases:
        NARTHEX_RETURN_IF_ERROR(LoadAliases(section.body, head, result));
        break;
      default:
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status HeadSnapshot::ReadPairs(std::string_view body, std::vector<LabelView>* pairs) const {
  ByteReader reader(body);
  while (!reader.done()) {
    LabelView pair;
    if (!reader.ReadLengthPrefixed(&pair.name) || !reader.ReadLengthPrefixed(&pair.value)) {
      return Malformed("pairs");
    }
    pairs->push_back(pair);
  }
  return absl::OkStatus();
}

namespace {

// Differences in a file that is no snapshot may be any.
Timestamp Add(Timestamp time, int64_t difference) {
  return static_cast<Timestamp>(static_cast<uint64_t>(time) + static_cast<uint64_t>(difference));
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
  image->open_bytes.clear();
  if (encoding != 0) {
    std::string_view bytes;
    if (!reader->ReadVarint(&image->open_min_time) || !reader->ReadVarint(&image->cut_at) ||
        !reader->ReadLengthPrefixed(&bytes)) {
      return false;
    }
    image->encoding = static_cast<chunkenc::Encoding>(encoding);
    image->open_bytes.assign(bytes);
  }
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

bool ReadPairNumbers(ByteReader* reader, const std::vector<LabelView>& pairs,
                     std::vector<LabelView>* labels) {
  uint64_t count;
  if (!reader->ReadUvarint(&count) || count > reader->remaining()) return false;
  labels->clear();
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t number;
    if (!reader->ReadUvarint(&number) || number >= pairs.size()) return false;
    labels->push_back(pairs[static_cast<size_t>(number)]);
  }
  return true;
}

}  // namespace

absl::Status HeadSnapshot::LoadSeries(std::string_view body, const std::vector<LabelView>& pairs,
                                      HeadLoader* loader,
                                      const std::function<void(uint64_t reference)>& on_series,
                                      LoadResult* result) const {
  ByteReader reader(body);
  std::vector<LabelView> labels;
  SeriesImage image;
  uint64_t reference = 0;
  while (!reader.done()) {
    int64_t delta;
    if (!reader.ReadVarint(&delta)) return Malformed("series");
    reference += static_cast<uint64_t>(delta);
    if (!ReadPairNumbers(&reader, pairs, &labels) || !ReadImage(&reader, &image) ||
        reference == 0 || reference > wal::kReferenceMax) {
      return Malformed("series");
    }
    if (loader == nullptr) continue;
    NARTHEX_ASSIGN_OR_RETURN(const Slot slot, loader->AddSeries(reference, labels));
    on_series(reference);
    ++result->series;
    // What it held stays held: the series may have taken some of it.
    if (!loader->Restore(slot, image).ok()) {
      ++result->series_damaged;
      continue;
    }
    result->chunks_closed += image.closed.size();
    if (!image.open_bytes.empty()) ++result->chunks_open;
  }
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
