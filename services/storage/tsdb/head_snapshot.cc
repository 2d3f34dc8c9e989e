// How a snapshot is written: a file of sections, as in head_snapshot.md.
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
#include "services/storage/tsdb/head_snapshot_format.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::tsdb {

using head_snapshot::DecodeMoment;
using head_snapshot::kHasWindow;
using head_snapshot::kMagic;
using head_snapshot::kSectionHeaderSize;
using head_snapshot::SectionType;

namespace {

constexpr size_t kSectionBytes = size_t{1} << 20;  // About; a series is not cut.

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
  void AddState(const OpenChunkImage& open);
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
  if (image.open.bytes.empty()) {
    series_.push_back(0);
  } else {
    ++stats_->chunks_open;
    series_.push_back(static_cast<char>(image.open.encoding));
    AppendVarint(&series_, image.open.min_time);
    AppendVarint(&series_, image.open.cut_at);
    AppendLengthPrefixed(&series_, image.open.bytes);
    if (image.open.encoding == chunkenc::Encoding::kXor) AddState(image.open);
  }
  AppendUvarint(&series_, image.deleted.size());
  for (const storage::DeletedInterval& interval : image.deleted) {
    AppendVarint(&series_, interval.min_time);
    AppendVarint(&series_, interval.max_time);
  }
}

// So that a start need not go through all of its samples.
void SeriesSections::AddState(const OpenChunkImage& open) {
  const chunkenc::XorState& state = open.state;
  AppendVarint(&series_, state.timestamp - open.min_time);
  AppendVarint(&series_, state.delta);
  AppendBig(&series_, std::bit_cast<uint64_t>(state.value));
  series_.push_back(static_cast<char>(state.leading));
  series_.push_back(static_cast<char>(state.trailing));
  series_.push_back(static_cast<char>(state.free_bits | (state.window ? kHasWindow : 0)));
}

absl::Status SeriesSections::Flush() {
  // What series lead to comes before them.
  if (!pairs_.empty()) NARTHEX_RETURN_IF_ERROR(out_->Write(SectionType::kPairs, pairs_));
  if (!places_.empty()) NARTHEX_RETURN_IF_ERROR(out_->Write(SectionType::kPlaces, places_));
  if (!series_.empty()) NARTHEX_RETURN_IF_ERROR(out_->Write(SectionType::kSeries, series_));
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
      NARTHEX_RETURN_IF_ERROR(ReadSeriesImage(head_, some[i], &image));
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
    NARTHEX_RETURN_IF_ERROR(out->Write(SectionType::kMetadata, body));
    body.clear();
  }
  return body.empty() ? absl::OkStatus() : out->Write(SectionType::kMetadata, body);
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
        out->Write(SectionType::kExemplars, std::string_view(body).substr(begin, end - begin)));
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
  NARTHEX_RETURN_IF_ERROR(out.Write(SectionType::kMoment, EncodeMoment(moment)));
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
    NARTHEX_RETURN_IF_ERROR(out.Write(SectionType::kAliases, body));
  }
  std::string end;
  AppendUvarint(&end, out.sections());
  NARTHEX_RETURN_IF_ERROR(out.Write(SectionType::kEnd, end));
  stats->bytes = out.bytes();
  return file->Sync();
}

}  // namespace

absl::StatusOr<HeadSnapshotStats> WriteHeadSnapshot(Head* head,
                                                    const HeadSnapshotOptions& options) {
  HeadSnapshotStats stats;
  const std::string unfinished = StrCat(options.path, kUnfinishedSnapshotSuffix);
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
  return StrCat(kMagic, SectionHeader(SectionType::kMoment, encoded), encoded,
                snapshot.substr(body + size));
}

}  // namespace narthex::tsdb
