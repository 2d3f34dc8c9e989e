#include "services/storage/db_metrics.h"

#include <atomic>
#include <string>
#include <utility>

#include "lib/model/stale.h"
#include "lib/storage/storage.h"

namespace narthex::storage_service {
namespace {

using Atomic = std::atomic<uint64_t>;

double Value(const Atomic& counter) {
  return static_cast<double>(counter.load(std::memory_order_relaxed));
}

std::function<double()> ReadOf(const Atomic& counter) {
  return [&counter] { return Value(counter); };
}

double Seconds(Timestamp time) { return static_cast<double>(time) / 1000; }

// A counter that is shown as it is.
template <typename Counters>
struct CounterMetric {
  const char* name;
  const char* help;
  Atomic Counters::*value;
};

constexpr CounterMetric<tsdb::HeadCounters> kHeadCounters[] = {
    {"prometheus_tsdb_head_series_created_total", "Series created in the head.",
     &tsdb::HeadCounters::series_created},
    {"prometheus_tsdb_head_series_removed_total", "Series removed from the head.",
     &tsdb::HeadCounters::series_removed},
    {"prometheus_tsdb_head_series_not_found_total", "Batches with series that are not known.",
     &tsdb::HeadCounters::batches_refused},
    {"prometheus_tsdb_head_chunks_created_total", "Chunks created in the head.",
     &tsdb::HeadCounters::chunks_created},
    {"prometheus_tsdb_head_chunks_removed_total", "Chunks removed from the head.",
     &tsdb::HeadCounters::chunks_removed},
    {"prometheus_tsdb_head_appenders_created_total", "Batches appended.",
     &tsdb::HeadCounters::batches},
    {"narthex_storage_batches_total", "Batches appended.", &tsdb::HeadCounters::batches},
    {"narthex_storage_batches_refused_total", "Batches refused for unknown references.",
     &tsdb::HeadCounters::batches_refused},
    {"narthex_storage_batches_skipped_total", "Batches that were applied before.",
     &tsdb::HeadCounters::batches_skipped},
    {"narthex_storage_samples_repeated_in_blocks_total",
     "Samples too old for the head that were accepted because a block has them.",
     &tsdb::HeadCounters::samples_repeated_in_blocks},
};

// A truncation of the log is a checkpoint and the deletion of what it stands for.
constexpr CounterMetric<tsdb::DbCounters> kDbCounters[] = {
    {"prometheus_tsdb_head_truncations_total", "Truncations of the head.",
     &tsdb::DbCounters::head_truncations},
    {"prometheus_tsdb_head_truncations_failed_total", "Truncations of the head that failed.",
     &tsdb::DbCounters::head_truncations_failed},
    {"prometheus_tsdb_checkpoint_creations_total", "Checkpoints begun.",
     &tsdb::DbCounters::checkpoints},
    {"prometheus_tsdb_checkpoint_creations_failed_total", "Checkpoints that failed.",
     &tsdb::DbCounters::checkpoints_failed},
    {"prometheus_tsdb_checkpoint_deletions_total", "Deletions behind a checkpoint begun.",
     &tsdb::DbCounters::checkpoint_deletions},
    {"prometheus_tsdb_checkpoint_deletions_failed_total",
     "Deletions behind a checkpoint that failed.", &tsdb::DbCounters::checkpoint_deletions_failed},
    {"narthex_storage_head_snapshots_total", "Snapshots of the head written.",
     &tsdb::DbCounters::head_snapshots},
    {"narthex_storage_head_snapshots_failed_total", "Snapshots of the head that failed.",
     &tsdb::DbCounters::head_snapshots_failed},
    {"prometheus_tsdb_wal_truncations_total", "Truncations of the log.",
     &tsdb::DbCounters::checkpoints},
    {"prometheus_tsdb_compactions_total", "Blocks written by compaction.",
     &tsdb::DbCounters::compactions},
    {"prometheus_tsdb_compactions_triggered_total", "Compactions triggered.",
     &tsdb::DbCounters::compactions_triggered},
    {"prometheus_tsdb_compactions_failed_total", "Compactions that failed.",
     &tsdb::DbCounters::compactions_failed},
    {"prometheus_tsdb_compactions_skipped_total", "Compactions not begun on a full disk.",
     &tsdb::DbCounters::compactions_skipped},
    {"prometheus_tsdb_vertical_compactions_total", "Compactions of overlapping blocks.",
     &tsdb::DbCounters::vertical_compactions},
    {"prometheus_tsdb_reloads_total", "Looks at the folder for blocks.",
     &tsdb::DbCounters::reloads},
    {"prometheus_tsdb_reloads_failures_total",
     "Looks at the folder that found a block which cannot be opened.",
     &tsdb::DbCounters::reload_failures},
    {"prometheus_tsdb_time_retentions_total", "Times that blocks were deleted for their age.",
     &tsdb::DbCounters::time_retentions},
    {"prometheus_tsdb_size_retentions_total", "Times that blocks were deleted for the size of all.",
     &tsdb::DbCounters::size_retentions},
    {"prometheus_tsdb_stale_series_compactions_triggered_total",
     "Compactions of stale series of the head.", &tsdb::DbCounters::stale_compactions},
    {"prometheus_tsdb_stale_series_compactions_failed_total",
     "Compactions of stale series of the head that failed.",
     &tsdb::DbCounters::stale_compactions_failed},
};

// A number that the head tells.
struct HeadGauge {
  const char* name;
  const char* help;
  double (*read)(const tsdb::Head& head);
};
constexpr HeadGauge kHeadGauges[] = {
    {"prometheus_tsdb_head_series", "Series in the head.",
     [](const tsdb::Head& head) { return static_cast<double>(head.table().size()); }},
    {"prometheus_tsdb_head_chunks", "Chunks in the head.",
     [](const tsdb::Head& head) { return static_cast<double>(head.table().chunks()); }},
    {"prometheus_tsdb_head_chunks_storage_size_bytes", "Size of the folder chunks_head.",
     [](const tsdb::Head& head) { return static_cast<double>(head.chunk_files().disk_bytes()); }},
    {"prometheus_tsdb_head_min_time", "Oldest sample of the head, in milliseconds.",
     [](const tsdb::Head& head) { return static_cast<double>(head.min_time()); }},
    {"prometheus_tsdb_head_max_time", "Newest sample of the head, in milliseconds.",
     [](const tsdb::Head& head) { return static_cast<double>(head.max_time()); }},
    {"prometheus_tsdb_head_min_time_seconds", "Oldest sample of the head.",
     [](const tsdb::Head& head) { return Seconds(head.min_time()); }},
    {"prometheus_tsdb_head_max_time_seconds", "Newest sample of the head.",
     [](const tsdb::Head& head) { return Seconds(head.max_time()); }},
    {"prometheus_tsdb_symbol_table_size_bytes", "Bytes of interned label names and values.",
     [](const tsdb::Head& head) { return static_cast<double>(head.index().symbols_bytes()); }},
    {"prometheus_tsdb_isolation_low_watermark", "Newest batch that every reader sees.",
     [](const tsdb::Head& head) { return static_cast<double>(head.isolation().SeenByAll()); }},
    {"prometheus_tsdb_isolation_high_watermark", "Newest batch.",
     [](const tsdb::Head& head) { return static_cast<double>(head.isolation().committed()); }},
};

// The files of a folder; 0 when there is none.
double BytesOf(io::FileSystem* fs, const std::string& directory) {
  const absl::StatusOr<std::vector<std::string>> names = fs->List(directory);
  if (!names.ok()) return 0;
  uint64_t bytes = 0;
  for (const std::string& name : *names) {
    const std::string path = io::JoinPath(directory, name);
    const absl::StatusOr<bool> folder = fs->IsDirectory(path);
    if (folder.ok() && *folder) {
      bytes += static_cast<uint64_t>(BytesOf(fs, path));
      continue;
    }
    const absl::StatusOr<uint64_t> size = fs->FileSize(path);
    if (size.ok()) bytes += *size;
  }
  return static_cast<double>(bytes);
}

// Upstream's bounds: `count` from `first` on, each `factor` times the one before.
std::vector<double> Exponential(double first, double factor, int count) {
  std::vector<double> bounds;
  for (int i = 0; i < count; ++i, first *= factor) bounds.push_back(first);
  return bounds;
}

}  // namespace

tsdb::DbObserver MakeDbObserver(metrics::Registry* registry) {
  metrics::Histogram* const duration =
      registry->AddHistogram("prometheus_tsdb_compaction_duration_seconds",
                             "Duration of compaction runs.", Exponential(1, 2, 14));
  metrics::Histogram* const stale_series =
      registry->AddHistogram("prometheus_tsdb_stale_series_compaction_duration_seconds",
                             "Duration of compactions of stale series.", Exponential(1, 2, 14));
  metrics::Histogram* const cleanup =
      registry->AddHistogram("prometheus_tsdb_tombstone_cleanup_seconds",
                             "Duration of taking deleted samples off the disk.",
                             {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
  metrics::Histogram* const bytes =
      registry->AddHistogram("prometheus_tsdb_compaction_chunk_size_bytes",
                             "Size of chunks that compaction wrote.", Exponential(32, 1.5, 12));
  metrics::Histogram* const samples =
      registry->AddHistogram("prometheus_tsdb_compaction_chunk_samples",
                             "Samples of chunks that compaction wrote.", Exponential(4, 1.5, 12));
  metrics::Histogram* const range = registry->AddHistogram(
      "prometheus_tsdb_compaction_chunk_range_seconds",
      "Times that chunks span which compaction wrote, in milliseconds.", Exponential(100, 4, 10));
  metrics::Gauge* const populating =
      registry->AddGauge("prometheus_tsdb_compaction_populating_block",
                         "1 while a block is being written to the disk.");
  const std::vector<double> quantiles = {0.5, 0.9, 0.99};
  metrics::Summary* const head_gc =
      registry->AddSummary("prometheus_tsdb_head_gc_duration_seconds",
                           "Duration of truncations of the head.", quantiles);
  metrics::Summary* const truncate =
      registry->AddSummary("prometheus_tsdb_wal_truncate_duration_seconds",
                           "Duration of truncations of the write-ahead log.", quantiles);
  tsdb::DbObserver observer;
  observer.compaction_done = [duration](absl::Duration took) {
    duration->Observe(absl::ToDoubleSeconds(took));
  };
  observer.stale_series_compacted = [stale_series](absl::Duration took) {
    stale_series->Observe(absl::ToDoubleSeconds(took));
  };
  observer.tombstones_cleaned = [cleanup](absl::Duration took) {
    cleanup->Observe(absl::ToDoubleSeconds(took));
  };
  observer.chunk_written = [=](size_t chunk_bytes, uint32_t chunk_samples, int64_t range_ms) {
    bytes->Observe(static_cast<double>(chunk_bytes));
    samples->Observe(chunk_samples);
    // As upstream, whose name says seconds and whose values are milliseconds.
    range->Observe(static_cast<double>(range_ms));
  };
  observer.block_writing = [populating](bool writing) { populating->Set(writing ? 1 : 0); };
  observer.head_truncated = [head_gc](absl::Duration took) {
    head_gc->Observe(absl::ToDoubleSeconds(took));
  };
  observer.log_truncated = [truncate](absl::Duration took) {
    truncate->Observe(absl::ToDoubleSeconds(took));
  };
  return observer;
}

DbMetrics::DbMetrics(const tsdb::Db* db, io::FileSystem* fs, metrics::Registry* registry)
    : db_(db),
      fs_(fs),
      registry_(registry),
      stale_series_(registry->AddGauge("prometheus_tsdb_head_stale_series",
                                       "Series of the head whose newest sample marks them stale.")),
      histogram_series_(registry->AddGauge("prometheus_tsdb_head_native_histogram_series",
                                           "Series of the head with native histograms.")) {
  AddHead();
  AddSamples();
  AddExemplars();
  AddLog();
  AddBlocks();
  AddMemory();
  AddState();
}

void DbMetrics::Gauge(std::string_view name, std::string_view help, Read read,
                      const metrics::LabelMap& labels) {
  callbacks_.push_back(registry_->AddCallback(name, help, "gauge", labels, std::move(read)));
}

void DbMetrics::Counter(std::string_view name, std::string_view help, Read read,
                        const metrics::LabelMap& labels) {
  callbacks_.push_back(registry_->AddCallback(name, help, "counter", labels, std::move(read)));
}

void DbMetrics::AddHead() {
  const tsdb::Head* const head = &db_->head();
  for (const HeadGauge& gauge : kHeadGauges) {
    Gauge(gauge.name, gauge.help, [head, read = gauge.read] { return read(*head); });
  }
  for (const auto& counter : kHeadCounters) {
    Counter(counter.name, counter.help, ReadOf(head->counters().*counter.value));
  }
  Counter("prometheus_tsdb_mmap_chunks_total", "Chunks written to chunks_head.",
          ReadOf(head->chunk_files().counters().chunks_written));
  Counter("prometheus_tsdb_mmap_chunk_corruptions_total", "Damaged places found in chunks_head.",
          [db = db_, head] {
            const bool at_start = db->ready() && !db->replay_result().chunk_files.damage.ok();
            return Value(head->ooo().counters().chunks_unreadable) + (at_start ? 1 : 0);
          });
}

void DbMetrics::AddSamples() {
  const tsdb::Head* const head = &db_->head();
  const tsdb::HeadCounters& counters = head->counters();
  const tsdb::OooCounters* const ooo = &head->ooo().counters();
  const metrics::LabelMap floats = {{"type", "float"}};
  const metrics::LabelMap histograms = {{"type", "histogram"}};
  Counter(
      "prometheus_tsdb_head_samples_appended_total", "Samples appended.",
      [&counters] {
        return Value(counters.samples_appended) - Value(counters.histograms_appended);
      },
      floats);
  Counter("prometheus_tsdb_head_samples_appended_total", "Samples appended.",
          ReadOf(counters.histograms_appended), histograms);
  Counter("prometheus_tsdb_head_out_of_order_samples_appended_total",
          "Samples appended that were older than their series.", ReadOf(ooo->floats_appended),
          floats);
  Counter("prometheus_tsdb_head_out_of_order_samples_appended_total",
          "Samples appended that were older than their series.", ReadOf(ooo->histograms_appended),
          histograms);
  callbacks_.push_back(registry_->AddHistogramCallback(
      "prometheus_tsdb_sample_ooo_delta", "How far behind the head out-of-order samples were.", {},
      [ooo] {
        metrics::HistogramCounts counts;
        for (const int64_t bound : tsdb::OooCounters::kDelaySecondsBounds) {
          counts.bounds.push_back(static_cast<double>(bound));
        }
        for (const Atomic& count : ooo->delays) counts.counts.push_back(count.load());
        counts.sum = Value(ooo->delay_seconds_sum);
        return counts;
      }));
  const auto refused = [&counters](storage::Refusal refusal) {
    return ReadOf(counters.refused[static_cast<size_t>(refusal)]);
  };
  Counter("prometheus_tsdb_out_of_order_samples_total", "Samples refused: older than their series.",
          refused(storage::Refusal::kOutOfOrder), floats);
  Counter("prometheus_tsdb_out_of_bound_samples_total", "Samples refused: out of bounds.",
          refused(storage::Refusal::kOutOfBounds), floats);
  Counter("prometheus_tsdb_too_old_samples_total",
          "Samples refused: out of the out-of-order window.", refused(storage::Refusal::kTooOld),
          floats);
  for (int i = 1; i < storage::kRefusalCount; ++i) {
    const auto refusal = static_cast<storage::Refusal>(i);
    Counter("narthex_storage_refused_samples_total", "Samples refused, by reason.",
            refused(refusal), {{"reason", std::string(storage::RefusalName(refusal))}});
  }
  Counter("narthex_storage_refused_series_total", "New series refused, by the limit they pass.",
          ReadOf(counters.series_refused_by_job), {{"limit", "series_per_job"}});
  Counter("narthex_storage_refused_series_total", "New series refused, by the limit they pass.",
          ReadOf(counters.series_refused_by_labels), {{"limit", "labels"}});
}

void DbMetrics::AddExemplars() {
  const tsdb::ExemplarStore* const exemplars = &db_->head().exemplars();
  const tsdb::ExemplarCounters& counters = exemplars->counters();
  Counter("prometheus_tsdb_exemplar_exemplars_appended_total", "Exemplars appended.",
          ReadOf(counters.appended));
  Counter("prometheus_tsdb_exemplar_out_of_order_exemplars_total",
          "Exemplars refused: older than those of their series.", ReadOf(counters.out_of_order));
  Gauge("prometheus_tsdb_exemplar_exemplars_in_storage", "Exemplars kept.",
        [exemplars] { return static_cast<double>(exemplars->size()); });
  Gauge("prometheus_tsdb_exemplar_series_with_exemplars_in_storage", "Series with exemplars.",
        [exemplars] { return static_cast<double>(exemplars->series()); });
  Gauge("prometheus_tsdb_exemplar_max_exemplars", "Exemplars that are kept at most.",
        [exemplars] { return static_cast<double>(exemplars->exemplars_max()); });
  Gauge("prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        "Time of the oldest exemplar kept.",
        [exemplars] { return exemplars->size() == 0 ? 0 : Seconds(exemplars->oldest_time()); });
}

void DbMetrics::AddLog() {
  const tsdb::Db* const db = db_;
  const auto log = [db](const Atomic wal::WriterCounters::*counter) -> Read {
    return [db, counter] {
      const wal::WriterCounters* const counters = db->head().log_counters();
      return counters == nullptr ? 0 : Value(counters->*counter);
    };
  };
  Gauge("prometheus_tsdb_wal_segment_current", "Segment that is written to.",
        log(&wal::WriterCounters::segment));
  Counter("prometheus_tsdb_wal_completed_pages_total", "Pages filled.",
          log(&wal::WriterCounters::pages_completed));
  Counter("prometheus_tsdb_wal_page_flushes_total", "Writes to the log.",
          log(&wal::WriterCounters::page_flushes));
  Counter("prometheus_tsdb_wal_writes_failed_total", "Writes to the log that failed.",
          log(&wal::WriterCounters::writes_failed));
  Counter("prometheus_tsdb_wal_record_part_writes_total", "Parts of records written to the log.",
          log(&wal::WriterCounters::fragments));
  Counter("prometheus_tsdb_wal_record_parts_bytes_written_total", "Bytes written to the log.",
          log(&wal::WriterCounters::bytes_written));
  Gauge("prometheus_tsdb_wal_storage_size_bytes", "Size of the log's folder.",
        [fs = fs_, directory = io::JoinPath(db->path(), "wal")] { return BytesOf(fs, directory); });
  const auto result = [db](auto read) -> Read {
    return [db, read] { return db->ready() ? static_cast<double>(read(*db)) : 0.0; };
  };
  Counter("prometheus_tsdb_wal_corruptions_total", "Damaged places found in the log.",
          result([](const tsdb::Db& d) { return d.replay_result().damaged ? 1 : 0; }));
  Counter("prometheus_tsdb_wal_replay_unknown_refs_total",
          "Samples of the log whose series it does not define.",
          result([](const tsdb::Db& d) { return d.replay_result().samples_unknown; }));
  Counter(
      "prometheus_tsdb_snapshot_replay_error_total",
      "Snapshots of the head that were there and not used: damaged, or of another log.",
      result([](const tsdb::Db& d) { return d.replay_result().snapshot_ignored.empty() ? 0 : 1; }));
  Gauge("prometheus_tsdb_data_replay_duration_seconds", "Duration of the replay.",
        result([](const tsdb::Db& d) { return absl::ToDoubleSeconds(d.replay_duration()); }));
  // The lock of a folder ends with its holder, so one never finds a left-over.
  Gauge("prometheus_tsdb_clean_start", "1: the folder was not locked at start.",
        [] { return 1.0; });
  Counter("prometheus_tsdb_wal_truncations_failed_total", "Truncations of the log that failed.",
          [&counters = db->counters()] {
            return Value(counters.checkpoints_failed) + Value(counters.checkpoint_deletions_failed);
          });
}

void DbMetrics::AddBlocks() {
  const tsdb::Db* const db = db_;
  for (const auto& counter : kDbCounters) {
    Counter(counter.name, counter.help, ReadOf(db->counters().*counter.value));
  }
  Gauge("prometheus_tsdb_blocks_loaded", "Blocks that are open.",
        [db] { return static_cast<double>(db->blocks()->size()); });
  Gauge("prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks.",
        [db] { return static_cast<double>(db->blocks_bytes()); });
  Gauge("prometheus_tsdb_lowest_timestamp", "Oldest sample, in milliseconds.",
        [db] { return static_cast<double>(db->min_time()); });
  Gauge("prometheus_tsdb_lowest_timestamp_seconds", "Oldest sample.",
        [db] { return Seconds(db->min_time()); });
}

void DbMetrics::AddMemory() {
  const tsdb::Head* const head = &db_->head();
  const auto part = [&](const char* name, auto read) {
    Gauge("narthex_storage_head_memory_bytes", "Memory of the head.",
          [head, read] { return static_cast<double>(read(*head)); }, {{"part", name}});
  };
  using tsdb::Head;
  part("series", [](const Head& h) {
    const Head::Memory memory = h.memory();
    return memory.table.records + memory.table.references;
  });
  part("open_chunks", [](const Head& h) { return h.memory().table.open_chunks; });
  part("closed_chunks", [](const Head& h) { return h.memory().table.closed_chunks; });
  part("index", [](const Head& h) {
    const tsdb::SeriesIndex::Memory memory = h.memory().index;
    return memory.symbols + memory.pairs + memory.postings + memory.series;
  });
  part("chunk_buffers", [](const Head& h) { return h.chunk_files().memory_bytes(); });
  part("out_of_order", [](const Head& h) { return h.ooo().memory_bytes(); });
  part("exemplars", [](const Head& h) { return h.exemplars().memory_bytes(); });
  part("metadata", [](const Head& h) { return h.metadata().memory_bytes(); });
}

void DbMetrics::AddState() {
  const tsdb::Db* const db = db_;
  for (const tsdb::DbStateKind kind : {tsdb::DbStateKind::kReplaying, tsdb::DbStateKind::kReady,
                                       tsdb::DbStateKind::kReadOnly, tsdb::DbStateKind::kBroken}) {
    Gauge("narthex_storage_state", "1 for the state that the database is in.",
          [db, kind] { return db->state().kind == kind ? 1.0 : 0.0; },
          {{"state", std::string(tsdb::DbStateName(kind))}});
  }
  const auto space = [this](auto read) -> Read {
    return [fs = fs_, path = db_->path(), read] {
      const absl::StatusOr<io::DiskSpace> found = fs->SpaceOf(path);
      return found.ok() ? static_cast<double>(read(*found)) : 0.0;
    };
  };
  Gauge("narthex_storage_disk_free_bytes", "Free space of the disk that the data is on.",
        space([](const io::DiskSpace& s) { return s.free_bytes; }));
  Gauge("narthex_storage_disk_size_bytes", "Size of the disk that the data is on.",
        space([](const io::DiskSpace& s) { return s.total_bytes; }));
}

void DbMetrics::Census() {
  if (!db_->ready()) return;
  const tsdb::SeriesTable& table = db_->head().table();
  uint64_t stale = 0;
  uint64_t histograms = 0;
  const size_t end = table.slots_end();
  for (tsdb::Slot slot = 0; slot < end; ++slot) {
    tsdb::SeriesHot& hot = table.hot(slot);
    hot.lock.Lock();
    const bool empty = hot.empty();
    const double newest = hot.state.value;
    bool is_float;
    const bool has_histograms = table.HasHistograms(slot, &is_float);
    hot.lock.Unlock();
    if (empty) continue;
    if (IsStale(newest)) ++stale;
    if (has_histograms) ++histograms;
  }
  stale_series_->Set(static_cast<double>(stale));
  histogram_series_->Set(static_cast<double>(histograms));
}

}  // namespace narthex::storage_service
