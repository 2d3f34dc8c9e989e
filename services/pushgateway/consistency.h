#ifndef NARTHEX_SERVICES_PUSHGATEWAY_CONSISTENCY_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_CONSISTENCY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "lib/base/strings.h"
#include "lib/metrics/registry.h"
#include "services/pushgateway/metric_family.h"

// The rules that what a scrape sees must keep, in upstream's words: one type a name, no series
// twice, proper labels, and no name that looks like a part of a histogram or summary.
namespace narthex::pushgateway {

// A stable hash of a series: family name and labels.
uint64_t SeriesHash(std::string_view family, const LabelPairs& labels);

// The families that the process exposes about itself; pushed ones must fit beside them. Immutable.
class OwnFamilies {
 public:
  explicit OwnFamilies(std::vector<metrics::CollectedFamily> families);
  const std::vector<metrics::CollectedFamily>& families() const { return families_; }
  std::optional<FamilyType> TypeOf(std::string_view name) const;
  bool HasSeries(std::string_view family, const LabelPairs& labels) const;

 private:
  const metrics::CollectedFamily* Find(std::string_view name) const;
  std::vector<metrics::CollectedFamily> families_;  // Sorted by name.
};

// Collects families one after the other, as a scrape would, and notes what does not fit. Not
// thread-safe.
class ConsistencyCheck {
 public:
  // What is there before the first Add(): the type of a family, and whether a series exists. `own`
  // must outlive the check.
  struct Existing {
    std::function<std::optional<FamilyType>(std::string_view family)> type_of;
    std::function<bool(uint64_t series_hash)> has_series;
  };
  ConsistencyCheck(const OwnFamilies* own, Existing existing);

  void Add(const MetricFamily& family);
  // InvalidArgument with one line for one error, and upstream's list for several.
  absl::Status status() const;

 private:
  std::optional<FamilyType> TypeOf(std::string_view name) const;
  // The error when a new family's name collides with parts of a histogram or summary; "" when it
  // does not.
  std::string SuffixCollision(const MetricFamily& family) const;
  std::string MetricError(const MetricFamily& family, FamilyType type, const Metric& metric);

  const OwnFamilies* const own_;
  const Existing existing_;
  absl::flat_hash_map<std::string, FamilyType, StringHash, StringEqual> added_types_;
  absl::flat_hash_set<uint64_t> added_series_;
  std::vector<std::string> errors_;
};

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_CONSISTENCY_H_
