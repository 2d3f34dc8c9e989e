#include "services/storage/tsdb/index_statistics.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"
#include "lib/labels/labels.h"
#include "services/storage/tsdb/series_index.h"

namespace narthex::tsdb {
namespace {

// Whether `a` is wanted more than `b`; as the order of a heap it puts the least wanted on top.
bool Better(const NamedCount& a, const NamedCount& b) {
  return a.count != b.count ? a.count > b.count : a.name < b.name;
}

}  // namespace

void TopCounts::Add(std::string_view name, uint64_t count) {
  if (!Wants(count)) return;
  if (heap_.size() == limit_) {
    NamedCount& least = heap_.front();
    if (count == least.count && name >= least.name) return;
    std::pop_heap(heap_.begin(), heap_.end(), Better);
    heap_.pop_back();
  }
  heap_.push_back({std::string(name), count});
  std::push_heap(heap_.begin(), heap_.end(), Better);
}

std::vector<NamedCount> TopCounts::Take() {
  std::sort_heap(heap_.begin(), heap_.end(), Better);
  return std::move(heap_);
}

IndexStatistics SeriesIndex::Statistics(size_t limit, uint64_t reference_before) const {
  // So that new series wait for a bounded piece only; what comes meanwhile may or may not count.
  constexpr size_t kPairsPerLock = 4096;
  constexpr size_t kSeriesPerLock = size_t{1} << 16;
  IndexStatistics statistics;
  TopCounts metrics(limit);
  TopCounts values(limit);
  TopCounts bytes(limit);
  TopCounts pairs(limit);
  TopCounts growth(limit);

  std::vector<std::string> names;
  {
    ReaderMutexLock lock(&mu_);
    names.reserve(name_numbers_.size());
    for (const auto& [name, number] : name_numbers_) names.emplace_back(name);
  }
  for (const std::string& name : names) {
    uint64_t values_of_name = 0;
    uint64_t bytes_of_name = 0;
    for (size_t next = 0, end = 1; next < end;) {
      ReaderMutexLock lock(&mu_);
      const auto found = name_numbers_.find(name);
      if (found == name_numbers_.end()) break;
      const std::vector<PairId>& of_name = names_[found->second].pairs;
      const bool is_metric = name == kMetricName;
      end = of_name.size();
      size_t series_seen = 0;
      const size_t piece_end = std::min(end, next + kPairsPerLock);
      for (; next < piece_end && series_seen < kSeriesPerLock; ++next) {
        const Pair& pair = pairs_[of_name[next]];
        const size_t series = pair.postings.size();
        if (series == 0) continue;
        ++values_of_name;
        const std::string_view value = TextOf(pair.text);
        bytes_of_name += value.size();
        if (pairs.Wants(series)) pairs.Add(StrCat(name, "=", value), series);
        if (!is_metric) continue;
        metrics.Add(value, series);
        series_seen += series;
        uint64_t grown = 0;
        pair.postings.Any([&](Slot slot) {
          if (table_->cold(slot).reference > reference_before) ++grown;
          return false;
        });
        if (grown > 0) growth.Add(value, grown);
      }
    }
    if (values_of_name == 0) continue;
    statistics.label_pairs += values_of_name;
    values.Add(name, values_of_name);
    bytes.Add(name, bytes_of_name);
  }
  statistics.series_by_metric_name = metrics.Take();
  statistics.values_by_label_name = values.Take();
  statistics.bytes_by_label_name = bytes.Take();
  statistics.series_by_label_pair = pairs.Take();
  statistics.growth_by_metric_name = growth.Take();
  return statistics;
}

}  // namespace narthex::tsdb
