#include "services/storage/tsdb/block_check.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/base/hash.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk.h"
#include "lib/chunkenc/chunk_writer.h"
#include "services/storage/tsdb/block_meta.h"
#include "services/storage/tsdb/block_writer.h"
#include "services/storage/tsdb/chunks/reader.h"
#include "services/storage/tsdb/index/postings.h"
#include "services/storage/tsdb/index/reader.h"
#include "services/storage/tsdb/tombstones.h"
#include "services/storage/tsdb/ulid.h"

namespace narthex::tsdb {
namespace {

constexpr Timestamp kTimeMin = std::numeric_limits<Timestamp>::min();
constexpr Timestamp kTimeMax = std::numeric_limits<Timestamp>::max();

bool InOrder(std::span<const LabelView> labels) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].name.empty() || labels[i].value.empty()) return false;
    if (i > 0 && labels[i].name <= labels[i - 1].name) return false;
  }
  return !labels.empty();
}

bool ComesBefore(std::span<const LabelView> a, std::span<const LabelView> b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

// How many series have a label pair, and a sum of their numbers: what its postings must agree with.
struct PairTally {
  uint64_t count = 0;
  uint64_t sum = 0;
};
uint64_t PairKey(std::string_view name, std::string_view value) {
  std::string key(name);
  key.push_back('\xff');
  key.append(value);
  return FastHash(key);
}

// The parts of a block, as far as they can be opened.
struct Parts {
  std::optional<BlockMeta> meta;
  std::unique_ptr<io::MappedFile> index_file;
  std::unique_ptr<index::Reader> index;  // Null when it is damaged.
  std::unique_ptr<chunks::Reader> chunks;
  Tombstones tombstones;
};

// What is missing or damaged goes into the report; an error is any other failure to read.
class Opener {
 public:
  Opener(io::FileSystem* fs, const std::string& directory, BlockReport* report)
      : fs_(fs), directory_(directory), report_(report) {}

  absl::StatusOr<Parts> Open() {
    NARTHEX_ASSIGN_OR_RETURN(const bool is_directory, fs_->IsDirectory(directory_));
    if (!is_directory) return InvalidArgument(directory_, " is no directory");
    Parts parts;
    NARTHEX_RETURN_IF_ERROR(OpenMeta(&parts));
    NARTHEX_RETURN_IF_ERROR(OpenIndex(&parts));
    NARTHEX_RETURN_IF_ERROR(OpenChunks(&parts));
    NARTHEX_RETURN_IF_ERROR(OpenTombstones(&parts));
    return parts;
  }

 private:
  // Whether the report takes the failure; what a repetition may heal it does not.
  absl::Status Report(const absl::Status& status) {
    if (absl::IsPermissionDenied(status) || absl::IsResourceExhausted(status)) return status;
    report_->Add(std::string(Message(status)));
    return absl::OkStatus();
  }
  absl::Status OpenMeta(Parts* parts) {
    const auto json = fs_->ReadFile(io::JoinPath(directory_, "meta.json"));
    if (!json.ok()) return Report(json.status());
    auto meta = ParseBlockMeta(*json);
    if (!meta.ok()) return Report(meta.status());
    parts->meta = *std::move(meta);
    return absl::OkStatus();
  }
  absl::Status OpenIndex(Parts* parts) {
    auto file = fs_->Map(io::JoinPath(directory_, "index"));
    if (!file.ok()) return Report(file.status());
    parts->index_file = *std::move(file);
    auto index = index::Reader::Open(parts->index_file->bytes());
    if (!index.ok()) return Report(index.status());
    parts->index = *std::move(index);
    return absl::OkStatus();
  }
  absl::Status OpenChunks(Parts* parts) {
    std::vector<std::string> damage;
    auto chunks = chunks::Reader::Open(fs_, io::JoinPath(directory_, "chunks"), &damage);
    for (std::string& line : damage) report_->Add(std::move(line));
    if (!chunks.ok()) return Report(chunks.status());
    parts->chunks = *std::move(chunks);
    return absl::OkStatus();
  }
  absl::Status OpenTombstones(Parts* parts) {
    const auto bytes = fs_->ReadFile(io::JoinPath(directory_, "tombstones"));
    if (absl::IsNotFound(bytes.status())) return absl::OkStatus();
    if (!bytes.ok()) return Report(bytes.status());
    auto tombstones = DecodeTombstones(*bytes);
    if (!tombstones.ok()) return Report(tombstones.status());
    parts->tombstones = *std::move(tombstones);
    return absl::OkStatus();
  }

  io::FileSystem* const fs_;
  const std::string& directory_;
  BlockReport* const report_;
};

// Reads a chunk to its last sample. The times are those of the samples.
absl::StatusOr<storage::SelectChunk> ReadWhole(const Parts& parts, const index::ChunkMeta& meta,
                                               SampleBuffer* scratch) {
  if (parts.chunks == nullptr) return DataLoss("chunks: none can be read");
  chunks::StoredChunk stored;
  NARTHEX_RETURN_IF_ERROR(parts.chunks->Read(meta.reference, &stored));
  const uint32_t count = chunkenc::ChunkSampleCount(stored.encoding, stored.bytes);
  scratch->Clear();
  NARTHEX_RETURN_IF_ERROR(
      chunkenc::DecodeChunk(stored.encoding, stored.bytes, count, kTimeMin, kTimeMax, scratch));
  if (scratch->empty()) return DataLoss("a chunk without samples");
  return storage::SelectChunk{stored.encoding, scratch->timestamps().front(),
                              scratch->timestamps().back(), count, stored.bytes};
}

std::string At(const index::ChunkMeta& chunk) {
  return StrCat("chunk at ", chunks::SegmentFileName(chunks::ReferenceSegment(chunk.reference)),
                " offset ", chunks::ReferenceOffset(chunk.reference));
}

class Checker {
 public:
  Checker(const Parts& parts, BlockReport* report) : parts_(parts), report_(report) {}

  void CheckAll() {
    if (parts_.index == nullptr) return;
    CheckSymbols();
    const auto all = parts_.index->AllPostings();
    if (!all.ok()) return report_->Add(std::string(Message(all.status())));
    all_ = *all;
    for (size_t i = 0; i < all_.size(); ++i) {
      if (i > 0 && all_[i] <= all_[i - 1]) {
        report_->Add(StrCat("index: the list of all series is not in order at ", i));
      }
      CheckSeries(all_[i]);
    }
    CheckPostings();
    CheckTombstones();
    if (parts_.meta) CheckStats(parts_.meta->stats);
  }

 private:
  void CheckSymbols() {
    if (parts_.index->version() == index::kVersion1) return;
    std::string_view before;
    for (uint32_t i = 0; i < parts_.index->symbols(); ++i) {
      const auto symbol = parts_.index->Symbol(i);
      if (!symbol.ok()) return report_->Add(std::string(Message(symbol.status())));
      if (i > 0 && *symbol <= before) {
        return report_->Add(StrCat("index: symbol ", i, " is not in order"));
      }
      before = *symbol;
    }
  }

  void CheckSeries(uint32_t number) {
    const absl::Status read = parts_.index->ReadSeries(number, &labels_, &chunk_metas_);
    if (!read.ok()) return report_->Add(std::string(Message(read)));
    for (const LabelView& label : labels_) {
      PairTally& tally = tallies_[PairKey(label.name, label.value)];
      ++tally.count;
      tally.sum += number;
    }
    if (!InOrder(labels_)) report_->Add(StrCat("index: series ", number, ": labels not in order"));
    if (series_read_ && !ComesBefore(before_, labels_)) {
      report_->Add(StrCat("index: series ", number, " is not in order"));
    }
    before_ = labels_;
    series_read_ = true;
    ++report_->series;
    for (size_t i = 0; i < chunk_metas_.size(); ++i) {
      CheckChunk(number, chunk_metas_[i]);
      if (i > 0 && chunk_metas_[i].min_time <= chunk_metas_[i - 1].max_time) {
        report_->Add(
            StrCat("series ", number, ": ", At(chunk_metas_[i]), " overlaps the one before"));
      }
    }
  }

  void CheckChunk(uint32_t number, const index::ChunkMeta& meta) {
    ++chunks_named_;
    const auto chunk = ReadWhole(parts_, meta, &scratch_);
    if (!chunk.ok()) {
      ++report_->chunks_lost;
      return report_->Add(StrCat("series ", number, ": ", At(meta), ": ", Message(chunk.status())));
    }
    if (chunk->min_time != meta.min_time || chunk->max_time != meta.max_time) {
      report_->Add(StrCat("series ", number, ": ", At(meta), " has samples from ", chunk->min_time,
                          " to ", chunk->max_time, ", the index says from ", meta.min_time, " to ",
                          meta.max_time));
    }
    if (parts_.meta &&
        (chunk->min_time < parts_.meta->min_time || chunk->max_time >= parts_.meta->max_time)) {
      report_->Add(StrCat("series ", number, ": ", At(meta), " is outside of the block"));
    }
    ++report_->chunks;
    report_->samples += chunk->visible_samples;
  }

  // The lists name exactly the series that have the pair.
  void CheckPostings() {
    size_t pairs = 0;
    for (const std::string_view name : parts_.index->Names()) {
      const absl::Status visited =
          parts_.index->VisitValues(name, "", [&](std::string_view value, uint64_t offset) {
            ++pairs;
            CheckList(name, value, offset);
            return true;
          });
      if (!visited.ok()) report_->Add(std::string(Message(visited)));
    }
    if (pairs != tallies_.size()) {
      report_->Add(
          StrCat("index: series have ", tallies_.size(), " label pairs, the postings ", pairs));
    }
  }

  void CheckList(std::string_view name, std::string_view value, uint64_t offset) {
    const auto list = parts_.index->PostingsAt(offset);
    if (!list.ok()) return report_->Add(std::string(Message(list.status())));
    PairTally tally;
    for (size_t i = 0; i < list->size(); ++i) {
      ++tally.count;
      tally.sum += (*list)[i];
      if (i > 0 && (*list)[i] <= (*list)[i - 1]) {
        return report_->Add(StrCat("index: postings at ", offset, " are not in order"));
      }
    }
    const auto expected = tallies_.find(PairKey(name, value));
    if (expected == tallies_.end() || expected->second.count != tally.count ||
        expected->second.sum != tally.sum) {
      report_->Add(StrCat("index: postings of ", name, "=", Quote(value),
                          " are not the series that have it"));
    }
  }

  void CheckTombstones() {
    const index::SeriesList all = index::Copy(all_);
    for (const auto& [series, intervals] : parts_.tombstones.all()) {
      if (!std::binary_search(all.begin(), all.end(), series)) {
        report_->Add(StrCat("tombstones: there is no series ", series));
      }
    }
  }

  void CheckStats(const BlockMeta::Stats& stats) {
    Compare("series", stats.series, report_->series);
    Compare("chunks", stats.chunks, chunks_named_);
    if (report_->chunks_lost == 0) Compare("samples", stats.samples, report_->samples);
  }
  void Compare(std::string_view what, uint64_t stated, uint64_t found) {
    if (stated == found) return;
    report_->Add(StrCat("meta.json: states ", stated, " ", what, ", there are ", found));
  }

  const Parts& parts_;
  BlockReport* const report_;
  index::PostingsView all_;
  absl::flat_hash_map<uint64_t, PairTally> tallies_;
  bool series_read_ = false;
  std::vector<LabelView> before_;
  std::vector<LabelView> labels_;
  std::vector<index::ChunkMeta> chunk_metas_;
  SampleBuffer scratch_;
  uint64_t chunks_named_ = 0;
};

// A series as far as it is sound.
struct SavedSeries {
  uint64_t number = 0;
  std::vector<LabelView> labels;
  std::vector<storage::SelectChunk> chunks;
};

// Gives what can be read of a block, in label order.
class Salvager {
 public:
  Salvager(const Parts& parts, BlockReport* report) : parts_(parts), report_(report) {}

  absl::Status Open() {
    if (parts_.index_file == nullptr) return DataLoss("there is no index");
    auto salvaged = index::Reader::OpenForSalvage(parts_.index_file->bytes());
    if (salvaged.ok()) {
      salvaged_ = *std::move(salvaged);
      numbers_ = salvaged_->salvage_numbers();
      return absl::OkStatus();
    }
    if (parts_.index == nullptr) return salvaged.status();
    NARTHEX_ASSIGN_OR_RETURN(listed_, parts_.index->AllPostings());
    return absl::OkStatus();
  }

  using Visit = std::function<absl::Status(const SavedSeries&)>;
  absl::Status VisitAll(const Visit& visit) {
    before_.clear();
    if (salvaged_ != nullptr) {
      for (uint64_t number = numbers_.first; number < numbers_.end; ++number) {
        NARTHEX_RETURN_IF_ERROR(VisitOne(*salvaged_, number, visit));
      }
      return absl::OkStatus();
    }
    for (size_t i = 0; i < listed_.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(VisitOne(*parts_.index, listed_[i], visit));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status VisitOne(const index::Reader& index, uint64_t number, const Visit& visit) {
    SavedSeries series;
    series.number = number;
    if (!index.ReadSeries(number, &series.labels, &chunk_metas_).ok() || !InOrder(series.labels)) {
      return absl::OkStatus();
    }
    if (!before_.empty() && !ComesBefore(before_, series.labels)) return absl::OkStatus();
    bool overlap = false;
    for (const index::ChunkMeta& meta : chunk_metas_) {
      const auto chunk = ReadWhole(parts_, meta, &scratch_);
      if (!chunk.ok()) {
        ++report_->chunks_lost;
        continue;
      }
      overlap =
          overlap || (!series.chunks.empty() && chunk->min_time <= series.chunks.back().max_time);
      series.chunks.push_back(*chunk);
    }
    if (series.chunks.empty()) return absl::OkStatus();
    if (overlap) NARTHEX_RETURN_IF_ERROR(EncodeAnew(&series.chunks));
    before_ = series.labels;
    return visit(series);
  }

  // Makes chunks that follow one another of such that overlap; of two samples at one time the first
  // counts.
  absl::Status EncodeAnew(std::vector<storage::SelectChunk>* chunks) {
    struct Place {
      Timestamp time;
      size_t chunk;
      size_t sample;
    };
    std::vector<SampleBuffer> buffers(chunks->size());
    std::vector<Place> places;
    bool start_timestamps = false;
    for (size_t i = 0; i < chunks->size(); ++i) {
      const storage::SelectChunk& chunk = (*chunks)[i];
      NARTHEX_RETURN_IF_ERROR(chunkenc::DecodeChunk(
          chunk.encoding, chunk.bytes, chunk.visible_samples, kTimeMin, kTimeMax, &buffers[i]));
      start_timestamps =
          start_timestamps ||
          chunk.encoding == chunkenc::EncodingOf(chunkenc::KindOf(chunk.encoding), true);
      for (size_t k = 0; k < buffers[i].size(); ++k) {
        places.push_back({buffers[i].timestamps()[k], i, k});
      }
    }
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& a, const Place& b) { return a.time < b.time; });
    chunkenc::ChunkWriter writer({.start_timestamps = start_timestamps});
    for (size_t i = 0; i < places.size(); ++i) {
      if (i > 0 && places[i].time == places[i - 1].time) continue;
      writer.AppendFrom(buffers[places[i].chunk], places[i].sample);
    }
    encoded_ = writer.Finish();
    chunks->clear();
    for (const chunkenc::FinishedChunk& chunk : encoded_) {
      chunks->push_back(
          {chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples, chunk.bytes});
    }
    return absl::OkStatus();
  }

  const Parts& parts_;
  BlockReport* const report_;
  std::vector<chunkenc::FinishedChunk> encoded_;  // Of the current series, where they are new.
  std::unique_ptr<index::Reader> salvaged_;
  index::Reader::Numbers numbers_;
  index::PostingsView listed_;
  std::vector<index::ChunkMeta> chunk_metas_;
  std::vector<LabelView> before_;
  SampleBuffer scratch_;
};

// The meta to begin the repaired block with: that of the damaged one, as far as it is there, with a
// range that holds all samples. A series count of zero says that nothing can be read.
absl::StatusOr<BlockMeta> MetaOfRepair(const Parts& parts, const std::string& directory,
                                       Salvager* salvager) {
  BlockMeta meta;
  if (parts.meta) meta = *parts.meta;
  Timestamp min_time = parts.meta ? meta.min_time : kTimeMax;
  Timestamp max_time = parts.meta ? meta.max_time - 1 : kTimeMin;
  meta.stats = {};
  NARTHEX_RETURN_IF_ERROR(salvager->VisitAll([&](const SavedSeries& series) {
    ++meta.stats.series;
    min_time = std::min(min_time, series.chunks.front().min_time);
    max_time = std::max(max_time, series.chunks.back().max_time);
    return absl::OkStatus();
  }));
  if (meta.stats.series == 0) return meta;
  meta.min_time = min_time;
  meta.max_time = max_time + 1;
  meta.compaction.failed = false;
  // The time of the name that it had; there is no clock here.
  const auto old = Ulid::Parse(io::BaseName(directory));
  meta.ulid = Ulid::New(old ? old->time() : std::max<Timestamp>(0, max_time)).ToString();
  return meta;
}

absl::Status WriteRepaired(io::FileSystem* fs, const std::string& parent, const Parts& parts,
                           const BlockMeta& base, Salvager* salvager, BlockReport* report) {
  NARTHEX_ASSIGN_OR_RETURN(const auto writer, BlockWriter::Create(fs, parent, base));
  report->chunks_lost = 0;  // The walk for the meta counted them too.
  const auto add = [&](const SavedSeries& series) {
    absl::Status added = writer->Add(series.labels, series.chunks);
    if (added.ok()) writer->AddDeleted(parts.tombstones.Of(series.number));
    return added;
  };
  NARTHEX_RETURN_IF_ERROR(salvager->VisitAll(add));
  NARTHEX_ASSIGN_OR_RETURN(const BlockMeta written, writer->Finish());
  report->series = written.stats.series;
  report->chunks = written.stats.chunks;
  report->samples = written.stats.samples;
  return absl::OkStatus();
}

absl::Status Quarantine(io::FileSystem* fs, const std::string& directory,
                        const std::string& quarantine) {
  NARTHEX_RETURN_IF_ERROR(fs->CreateDirectories(quarantine));
  const std::string place = io::JoinPath(quarantine, io::BaseName(directory));
  std::string free_place = place;
  for (int i = 1; fs->Exists(free_place); ++i) free_place = StrCat(place, ".", i);
  NARTHEX_RETURN_IF_ERROR(fs->Rename(directory, free_place));
  NARTHEX_RETURN_IF_ERROR(fs->SyncDirectory(quarantine));
  return fs->SyncDirectory(std::string(io::DirName(directory)));
}

}  // namespace

void BlockReport::Add(std::string problem) {
  if (problems.size() < kProblemsMax) {
    problems.push_back(std::move(problem));
  } else {
    ++problems_more;
  }
}

absl::Status CheckBlock(io::FileSystem* fs, const std::string& directory, BlockReport* report) {
  NARTHEX_ASSIGN_OR_RETURN(const Parts parts, Opener(fs, directory, report).Open());
  Checker(parts, report).CheckAll();
  return absl::OkStatus();
}

absl::StatusOr<std::string> RepairBlock(io::FileSystem* fs, const std::string& directory,
                                        const std::string& quarantine, BlockReport* report) {
  std::string repaired;
  {
    NARTHEX_ASSIGN_OR_RETURN(const Parts parts, Opener(fs, directory, report).Open());
    Salvager salvager(parts, report);
    const absl::Status opened = salvager.Open();
    if (!opened.ok()) {
      report->Add(StrCat("nothing can be saved: ", Message(opened)));
    } else {
      NARTHEX_ASSIGN_OR_RETURN(const BlockMeta base, MetaOfRepair(parts, directory, &salvager));
      const std::string parent(io::DirName(directory));
      if (base.stats.series > 0) {
        NARTHEX_RETURN_IF_ERROR(WriteRepaired(fs, parent, parts, base, &salvager, report));
        repaired = io::JoinPath(parent, base.ulid);
      }
    }
  }
  NARTHEX_RETURN_IF_ERROR(Quarantine(fs, directory, quarantine));
  return repaired;
}

}  // namespace narthex::tsdb
