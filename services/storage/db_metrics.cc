#include "services/storage/db_metrics.h"

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "lib/storage/storage.h"

namespace narthex::storage_service {
namespace {

double Read(const std::atomic<uint64_t>& counter) {
  return static_cast<double>(counter.load(std::memory_order_relaxed));
}

using LogCounter = const std::atomic<uint64_t>&(const wal::WriterCounters&);

}  // namespace

DbMetrics::DbMetrics(const tsdb::Db* db, metrics::Registry* registry)
    : db_(db), registry_(registry) {
  AddHead();
  AddLog();
  AddAppends();
}

void DbMetrics::Add(std::string_view name, std::string_view help, std::string_view type,
                    std::function<double()> read, const metrics::LabelMap& labels) {
  callbacks_.push_back(registry_->AddCallback(name, help, type, labels, std::move(read)));
}

void DbMetrics::AddHead() {
  const tsdb::Head* const head = &db_->head();
  Add("prometheus_tsdb_head_series", "Series in the head.", "gauge",
      [head] { return static_cast<double>(head->table().size()); });
  Add("prometheus_tsdb_head_series_created_total", "Series created in the head.", "counter",
      [head] { return Read(head->counters().series_created); });
  Add("prometheus_tsdb_head_chunks", "Chunks in the head.", "gauge",
      [head] { return static_cast<double>(head->table().chunks()); });
  Add("prometheus_tsdb_head_min_time", "Oldest sample of the head, in milliseconds.", "gauge",
      [head] { return static_cast<double>(head->min_time()); });
  Add("prometheus_tsdb_head_max_time", "Newest sample of the head, in milliseconds.", "gauge",
      [head] { return static_cast<double>(head->max_time()); });
  Add("prometheus_tsdb_head_min_time_seconds", "Oldest sample of the head.", "gauge",
      [head] { return static_cast<double>(head->min_time()) / 1000; });
  Add("prometheus_tsdb_head_max_time_seconds", "Newest sample of the head.", "gauge",
      [head] { return static_cast<double>(head->max_time()) / 1000; });
  Add("prometheus_tsdb_lowest_timestamp_seconds", "Oldest sample of the database.", "gauge",
      [head] { return static_cast<double>(head->min_time()) / 1000; });
  Add("prometheus_tsdb_symbol_table_size_bytes", "Bytes of interned label names and values.",
      "gauge", [head] { return static_cast<double>(head->index().symbols_bytes()); });
  Add("prometheus_tsdb_isolation_low_watermark", "Newest batch that every reader sees.", "gauge",
      [head] { return static_cast<double>(head->isolation().SeenByAll()); });
  Add("prometheus_tsdb_isolation_high_watermark", "Newest batch.", "gauge",
      [head] { return static_cast<double>(head->isolation().committed()); });
  using Part = size_t(const tsdb::Head::Memory&);
  const std::pair<const char*, Part*> parts[] = {
      {"series", [](const tsdb::Head::Memory& m) { return m.table.records + m.table.references; }},
      {"open_chunks", [](const tsdb::Head::Memory& m) { return m.table.open_chunks; }},
      {"closed_chunks", [](const tsdb::Head::Memory& m) { return m.table.closed_chunks; }},
      {"index",
       [](const tsdb::Head::Memory& m) {
         return m.index.symbols + m.index.pairs + m.index.postings + m.index.series;
       }},
  };
  for (const auto& [name, part] : parts) {
    const auto read = part;
    Add("narthex_storage_head_memory_bytes", "Memory of the head.", "gauge",
        [head, read] { return static_cast<double>(read(head->memory())); }, {{"part", name}});
  }
}

void DbMetrics::AddLog() {
  const tsdb::Db* const db = db_;
  const auto add = [this, db](std::string_view name, std::string_view help, std::string_view type,
                              LogCounter* counter) {
    Add(name, help, type, [db, counter] {
      const wal::WriterCounters* const counters = db->head().log_counters();
      return counters == nullptr ? 0 : Read(counter(*counters));
    });
  };
  add("prometheus_tsdb_wal_segment_current", "Segment that is written to.", "gauge",
      [](const wal::WriterCounters& c) -> const std::atomic<uint64_t>& { return c.segment; });
  add("prometheus_tsdb_wal_completed_pages_total", "Pages filled.", "counter",
      [](const wal::WriterCounters& c) -> const std::atomic<uint64_t>& {
        return c.pages_completed;
      });
  add("prometheus_tsdb_wal_page_flushes_total", "Writes to the log.", "counter",
      [](const wal::WriterCounters& c) -> const std::atomic<uint64_t>& { return c.page_flushes; });
  add("prometheus_tsdb_wal_writes_failed_total", "Writes to the log that failed.", "counter",
      [](const wal::WriterCounters& c) -> const std::atomic<uint64_t>& { return c.writes_failed; });
  add("narthex_storage_wal_written_bytes_total", "Bytes written to the log.", "counter",
      [](const wal::WriterCounters& c) -> const std::atomic<uint64_t>& { return c.bytes_written; });
  Add("prometheus_tsdb_wal_corruptions_total", "Damaged places found in the log.", "counter",
      [db] { return db->ready() && db->replay_result().damaged ? 1.0 : 0.0; });
  Add("prometheus_tsdb_wal_replay_unknown_refs_total",
      "Samples of the log whose series it does not define.", "counter", [db] {
        return db->ready() ? static_cast<double>(db->replay_result().samples_unknown) : 0.0;
      });
  Add("prometheus_tsdb_data_replay_duration_seconds", "Duration of the replay.", "gauge",
      [db] { return db->ready() ? absl::ToDoubleSeconds(db->replay_duration()) : 0.0; });
  // The lock of a folder ends with its holder, so one never finds a left-over.
  Add("prometheus_tsdb_clean_start", "1: the folder was not locked at start.", "gauge",
      [] { return 1.0; });
}

void DbMetrics::AddAppends() {
  const tsdb::HeadCounters* const counters = &db_->head().counters();
  Add("prometheus_tsdb_head_samples_appended_total", "Samples appended.", "counter",
      [counters] { return Read(counters->samples_appended); }, {{"type", "float"}});
  const auto refused = [counters](storage::Refusal refusal) {
    return [counters, refusal] { return Read(counters->refused[static_cast<size_t>(refusal)]); };
  };
  Add("prometheus_tsdb_out_of_order_samples_total", "Samples refused: older than their series.",
      "counter", refused(storage::Refusal::kOutOfOrder), {{"type", "float"}});
  Add("prometheus_tsdb_out_of_bound_samples_total", "Samples refused: out of bounds.", "counter",
      refused(storage::Refusal::kOutOfBounds), {{"type", "float"}});
  Add("prometheus_tsdb_too_old_samples_total", "Samples refused: out of the out-of-order window.",
      "counter", refused(storage::Refusal::kTooOld), {{"type", "float"}});
  for (int i = 1; i < storage::kRefusalCount; ++i) {
    const auto refusal = static_cast<storage::Refusal>(i);
    Add("narthex_storage_refused_samples_total", "Samples refused, by reason.", "counter",
        refused(refusal), {{"reason", std::string(storage::RefusalName(refusal))}});
  }
  Add("narthex_storage_batches_total", "Batches appended.", "counter",
      [counters] { return Read(counters->batches); });
  Add("narthex_storage_batches_refused_total", "Batches refused for unknown references.", "counter",
      [counters] { return Read(counters->batches_refused); });
  Add("narthex_storage_batches_skipped_total", "Batches that were applied before.", "counter",
      [counters] { return Read(counters->batches_skipped); });
}

}  // namespace narthex::storage_service
