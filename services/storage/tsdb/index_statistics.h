#ifndef NARTHEX_SERVICES_STORAGE_TSDB_INDEX_STATISTICS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_INDEX_STATISTICS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace narthex::tsdb {

struct NamedCount {
  std::string name;
  uint64_t count = 0;
  friend bool operator==(const NamedCount&, const NamedCount&) = default;
};

// Keeps the entries with the greatest counts, of equal ones those first by name. Thread safety:
// none.
class TopCounts {
 public:
  explicit TopCounts(size_t limit) : limit_(limit) {}
  // Whether an entry of this count could be kept: saves making its name.
  bool Wants(uint64_t count) const {
    return limit_ > 0 && (heap_.size() < limit_ || count >= heap_.front().count);
  }
  void Add(std::string_view name, uint64_t count);
  std::vector<NamedCount> Take();  // The greatest first.

 private:
  const size_t limit_;
  std::vector<NamedCount> heap_;  // The least wanted on top.
};

// What the series of the head are made of, as status/tsdb of Prometheus counts it.
struct IndexStatistics {
  uint64_t label_pairs = 0;  // That series have.
  std::vector<NamedCount> series_by_metric_name;
  std::vector<NamedCount> values_by_label_name;
  std::vector<NamedCount> bytes_by_label_name;   // Of all values, each counted once.
  std::vector<NamedCount> series_by_label_pair;  // "name=value"
  // Metric names by their series with references above the one asked for.
  std::vector<NamedCount> growth_by_metric_name;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_INDEX_STATISTICS_H_
