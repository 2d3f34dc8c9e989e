#include "services/query/cache/result_cache.h"

#include <algorithm>
#include <span>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/hash.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::query_cache {
namespace {

// Larger answers are kept when they are asked for a second time.
constexpr size_t kLargeBytes = size_t{1} << 20;
constexpr size_t kAskedMax = 4096;

// The steps from…to of a matrix; a part of an answer.
struct Part {
  const promql::Matrix* matrix;
  Timestamp from;
  Timestamp to;
};

void AppendSteps(const SampleBuffer& samples, Timestamp from, Timestamp to, SampleBuffer* out) {
  const std::span<const Timestamp> times = samples.timestamps();
  const auto begin = std::lower_bound(times.begin(), times.end(), from);
  const auto end = std::upper_bound(begin, times.end(), to);
  out->AppendRange(samples, static_cast<size_t>(begin - times.begin()),
                   static_cast<size_t>(end - times.begin()));
}

// Parts in time order, which have no step in common, as one matrix in label order.
promql::Matrix Join(std::span<const Part> parts) {
  promql::Matrix joined;
  std::vector<size_t> at(parts.size(), 0);
  while (true) {
    const Labels* least = nullptr;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (at[i] == parts[i].matrix->size()) continue;
      const Labels& labels = (*parts[i].matrix)[at[i]].labels;
      if (least == nullptr || labels < *least) least = &labels;
    }
    if (least == nullptr) return joined;
    promql::Series series;
    series.labels = *least;
    size_t size = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (at[i] == parts[i].matrix->size()) continue;
      const promql::Series& from = (*parts[i].matrix)[at[i]];
      if (from.labels == series.labels) size += from.samples.size();
    }
    series.samples.Reserve(size);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (at[i] == parts[i].matrix->size()) continue;
      const promql::Series& from = (*parts[i].matrix)[at[i]];
      if (!(from.labels == series.labels)) continue;
      AppendSteps(from.samples, parts[i].from, parts[i].to, &series.samples);
      ++at[i];
    }
    if (!series.samples.empty()) joined.push_back(std::move(series));
  }
}

size_t BytesOf(const promql::Matrix& matrix) {
  // A label set is shared with others; this is its place here.
  size_t bytes = matrix.size() * sizeof(promql::Series);
  for (const promql::Series& series : matrix) bytes += series.samples.memory_bytes();
  return bytes;
}

void AddMissing(const std::vector<std::string>& more, std::vector<std::string>* all) {
  for (const std::string& one : more) {
    if (std::find(all->begin(), all->end(), one) == all->end()) all->push_back(one);
  }
}

// Hands everything through, and notes the revision of what was read.
class NotingQuerier : public storage::Querier {
 public:
  explicit NotingQuerier(storage::Querier* querier) : querier_(querier) {}

  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override {
    absl::StatusOr<storage::SelectResult> result = querier_->Select(selectors, options);
    if (result.ok()) {
      // A query asks once; if it should ask again, the first answer is the older one.
      if (selects_++ == 0) revision_ = result->changes.revision;
      partial_ = partial_ || !result->warnings.empty();
    }
    return result;
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override {
    return querier_->LabelNames(matcher_sets, min_time, max_time);
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override {
    return querier_->LabelValues(name, matcher_sets, min_time, max_time);
  }

  // Empty when nothing may be kept.
  std::string revision() const { return partial_ ? std::string() : revision_; }
  bool partial() const { return partial_; }

 private:
  storage::Querier* const querier_;
  int selects_ = 0;
  bool partial_ = false;
  std::string revision_;
};

}  // namespace

struct ResultCache::Metrics {
  explicit Metrics(metrics::Registry* registry)
      : hits(Requests(registry, "hit")),
        partial(Requests(registry, "partial")),
        misses(Requests(registry, "miss")),
        unfit(Requests(registry, "unfit")),
        bytes(registry->AddGauge("narthex_query_cache_bytes",
                                 "Size of the results of range queries that are kept.")),
        entries(registry->AddGauge("narthex_query_cache_entries",
                                   "Expressions of which results of range queries are kept.")),
        evictions(registry->AddCounter("narthex_query_cache_evictions_total",
                                       "Expressions whose results had to make room.")) {}

  static metrics::Counter* Requests(metrics::Registry* registry, const std::string& outcome) {
    return registry->AddCounter(
        "narthex_query_cache_requests_total",
        "Range queries by what was there: all of the steps, some, none, or the query is unfit.",
        {{"outcome", outcome}});
  }

  metrics::Counter* const hits;
  metrics::Counter* const partial;
  metrics::Counter* const misses;
  metrics::Counter* const unfit;
  metrics::Gauge* const bytes;
  metrics::Gauge* const entries;
  metrics::Counter* const evictions;
};

ResultCache::ResultCache(size_t bytes_max, promql::Engine* engine, storage::Querier* querier,
                         metrics::Registry* registry)
    : bytes_max_(bytes_max),
      engine_(engine),
      querier_(querier),
      metrics_(std::make_unique<Metrics>(registry)) {}

ResultCache::~ResultCache() = default;

absl::StatusOr<promql::Result> ResultCache::Range(std::string_view query, const promql::Expr& expr,
                                                  Timestamp start, Timestamp end, int64_t step_ms,
                                                  const promql::QueryOptions& options) {
  const absl::Duration lookback = options.lookback_delta > absl::ZeroDuration()
                                      ? options.lookback_delta
                                      : engine_->options().lookback_delta;
  const int64_t lookback_ms = absl::ToInt64Milliseconds(lookback);
  const std::optional<CacheScope> scope =
      bytes_max_ == 0 ? std::nullopt : ScopeOf(expr, lookback_ms);
  if (!scope.has_value()) {
    metrics_->unfit->Increment();
    return engine_->Range(querier_, query, start, end, step_ms, options);
  }
  Request request;
  // The text and not the tree: annotations name places in it.
  request.key.assign(query);
  request.key.push_back('\0');
  AppendVarint(&request.key, step_ms);
  AppendVarint(&request.key, ((start % step_ms) + step_ms) % step_ms);
  AppendVarint(&request.key, lookback_ms);
  AppendVarint(&request.key, static_cast<int64_t>(options.series_max));
  request.query = query;
  request.start = start;
  request.last = start + (end - start) / step_ms * step_ms;
  request.step_ms = step_ms;
  request.options = &options;
  request.scope = *scope;

  const Found found = Find(request.key, &request.generation);
  if (found.entry == nullptr) return Compute(request);
  const absl::StatusOr<storage::DataChanges> changes = querier_->Changes(found.revision);
  if (!changes.ok() || changes->revision.empty()) return Compute(request);
  const Timestamp valid_to = std::min(found.to, scope->LastHolding(changes->oldest_change));
  {
    // True of the steps that are left, whoever else comes to such a finding at the same time.
    MutexLock lock(&mu_);
    found.entry->to = valid_to;
    found.entry->revision = changes->revision;
  }
  // Steps that only touch are of use, too: what is kept grows.
  const bool apart = valid_to < found.entry->from || valid_to < request.start - step_ms ||
                     found.entry->from > request.last + step_ms;
  if (apart) return Compute(request);
  return Extend(request, found, changes->revision, valid_to);
}

ResultCache::Found ResultCache::Find(const std::string& key, uint64_t* generation) {
  MutexLock lock(&mu_);
  *generation = generation_;
  const auto at = entries_.find(key);
  if (at == entries_.end()) return {};
  uses_.splice(uses_.begin(), uses_, at->second->use);
  return {at->second, at->second->to, at->second->revision};
}

absl::StatusOr<promql::Result> ResultCache::Compute(const Request& request) {
  metrics_->misses->Increment();
  NotingQuerier noting(querier_);
  NARTHEX_ASSIGN_OR_RETURN(promql::Result result,
                           engine_->Range(&noting, request.query, request.start, request.last,
                                          request.step_ms, *request.options));
  const promql::Matrix& matrix = std::get<promql::Matrix>(result.value);
  if (!noting.revision().empty() && Admits(request, BytesOf(matrix))) {
    Keep(request, noting.revision(), request.start, request.last, matrix, result);
  }
  return result;
}

absl::StatusOr<promql::Result> ResultCache::Extend(const Request& request, const Found& found,
                                                   const std::string& revision,
                                                   Timestamp valid_to) {
  const Entry& entry = *found.entry;
  // The last step that holds.
  const Timestamp held = entry.from + (valid_to - entry.from) / request.step_ms * request.step_ms;
  promql::Result result;
  result.warnings = entry.warnings;
  result.infos = entry.infos;
  promql::Matrix head;
  promql::Matrix tail;
  bool partial = false;
  const auto compute = [&](Timestamp from, Timestamp to, promql::Matrix* matrix) -> absl::Status {
    NotingQuerier noting(querier_);
    NARTHEX_ASSIGN_OR_RETURN(
        promql::Result piece,
        engine_->Range(&noting, request.query, from, to, request.step_ms, *request.options));
    *matrix = std::get<promql::Matrix>(std::move(piece.value));
    AddMissing(piece.warnings, &result.warnings);
    AddMissing(piece.infos, &result.infos);
    result.stats.samples_read += piece.stats.samples_read;
    result.stats.samples_peak = std::max(result.stats.samples_peak, piece.stats.samples_peak);
    result.stats.samples_queryable += piece.stats.samples_queryable;
    partial = partial || noting.partial();
    return absl::OkStatus();
  };
  const bool needs_head = request.start < entry.from;
  const bool needs_tail = request.last > held;
  if (needs_head) {
    const Timestamp to = std::min(request.last, entry.from - request.step_ms);
    NARTHEX_RETURN_IF_ERROR(compute(request.start, to, &head));
  }
  if (needs_tail) {
    const Timestamp from = std::max(request.start, held + request.step_ms);
    NARTHEX_RETURN_IF_ERROR(compute(from, request.last, &tail));
  }
  const std::vector<Part> parts = {
      {&head, request.start, request.last},
      {&entry.matrix, std::max(request.start, entry.from), std::min(request.last, held)},
      {&tail, request.start, request.last}};
  promql::Matrix matrix = Join(parts);
  (needs_head || needs_tail ? metrics_->partial : metrics_->hits)->Increment();

  if ((needs_head || needs_tail) && !partial) {
    // Steps beyond those asked for stay, but no more than those are: dashboards scroll.
    const int64_t excess = request.last - request.start + request.step_ms;
    const Timestamp from = std::max(std::min(request.start, entry.from), request.start - excess);
    const Timestamp to = std::min(std::max(request.last, held), request.last + excess);
    if (from == request.start && to == request.last) {
      Keep(request, revision, from, to, matrix, result);
    } else {
      const std::vector<Part> kept = {
          {&head, from, to}, {&entry.matrix, from, std::min(to, held)}, {&tail, from, to}};
      Keep(request, revision, from, to, Join(kept), result);
    }
  }
  result.value = std::move(matrix);
  return result;
}

bool ResultCache::Admits(const Request& request, size_t bytes) {
  if (bytes > bytes_max_ / 4) return false;
  if (bytes <= kLargeBytes) return true;
  const uint64_t hash = FastHash(request.key);
  MutexLock lock(&mu_);
  if (asked_.contains(hash)) return true;
  if (asked_.size() >= kAskedMax) asked_.clear();
  asked_.insert(hash);
  return false;
}

void ResultCache::Keep(const Request& request, const std::string& revision, Timestamp from,
                       Timestamp to, promql::Matrix matrix, const promql::Result& result) {
  auto entry = std::make_shared<Entry>();
  entry->from = from;
  entry->to = to;
  entry->revision = revision;
  entry->matrix = std::move(matrix);
  entry->warnings = result.warnings;
  entry->infos = result.infos;
  entry->bytes = BytesOf(entry->matrix) + 2 * request.key.size() + sizeof(Entry);
  MutexLock lock(&mu_);
  if (request.generation != generation_) return;
  RemoveLocked(request.key);
  if (entry->bytes > bytes_max_ / 4) return;
  EvictLocked(bytes_max_ - entry->bytes);
  uses_.push_front(request.key);
  entry->use = uses_.begin();
  bytes_ += entry->bytes;
  entries_.emplace(request.key, std::move(entry));
  metrics_->bytes->Set(static_cast<double>(bytes_));
  metrics_->entries->Set(static_cast<double>(entries_.size()));
}

void ResultCache::EvictLocked(size_t bytes_max) {
  while (bytes_ > bytes_max) {
    metrics_->evictions->Increment();
    RemoveLocked(std::string(uses_.back()));
  }
}

void ResultCache::RemoveLocked(const std::string& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  bytes_ -= at->second->bytes;
  uses_.erase(at->second->use);
  entries_.erase(at);
}

void ResultCache::Clear() {
  MutexLock lock(&mu_);
  ++generation_;
  entries_.clear();
  uses_.clear();
  bytes_ = 0;
  metrics_->bytes->Set(0);
  metrics_->entries->Set(0);
}

size_t ResultCache::bytes() const {
  MutexLock lock(&mu_);
  return bytes_;
}

size_t ResultCache::entries() const {
  MutexLock lock(&mu_);
  return entries_.size();
}

}  // namespace narthex::query_cache
