// What the index counts of itself, against counting series by series.
#include "services/storage/tsdb/index_statistics.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/tsdb/series_index.h"

namespace narthex::tsdb {
namespace {

std::vector<NamedCount> Greatest(const std::map<std::string, uint64_t>& counts, size_t limit) {
  std::vector<NamedCount> all;
  for (const auto& [name, count] : counts) all.push_back({name, count});
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  if (all.size() > limit) all.resize(limit);
  return all;
}

TEST_CASE("The greatest counts are kept, equal ones in order of their names") {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (const size_t limit : {0, 1, 3, 10, 1000}) {
    std::map<std::string, uint64_t> counts;
    std::vector<std::string> names;
    for (int i = 0; i < 200; ++i) {
      names.push_back(StrCat("n", i));
      counts[names.back()] = random() % 7;
    }
    std::shuffle(names.begin(), names.end(), random);
    TopCounts top(limit);
    for (const std::string& name : names) top.Add(name, counts[name]);
    CHECK(top.Take() == Greatest(counts, limit));
  }
}

TEST_CASE("Statistics count what the series have") {
  SeriesTable table{{}};
  SeriesIndex index{&table};
  std::map<std::string, uint64_t> metrics;
  std::map<std::string, std::set<std::string>> values;
  std::map<std::string, uint64_t> bytes;
  std::map<std::string, uint64_t> pairs;
  std::map<std::string, uint64_t> growth;
  constexpr uint64_t kSeries = 20'000;
  constexpr uint64_t kOld = 15'000;
  for (uint64_t i = 1; i <= kSeries; ++i) {
    std::map<std::string, std::string> labels = {{"i", StrCat(i)},
                                                 {StrCat("label_", i % 11), StrCat(i % 13)}};
    if (i % 5 != 0) labels["__name__"] = StrCat("metric_", i % 17);
    std::vector<LabelView> views;
    for (const auto& [name, value] : labels) {
      views.push_back({name, value});
      if (values[name].insert(value).second) bytes[name] += value.size();
      ++pairs[StrCat(name, "=", value)];
      if (name != "__name__") continue;
      ++metrics[value];
      if (i > kOld) ++growth[value];
    }
    bool added = false;
    index.FindOrAdd(views, i, &added);
    REQUIRE(added);
  }
  std::map<std::string, uint64_t> value_counts;
  uint64_t label_pairs = 0;
  for (const auto& [name, of_name] : values) {
    value_counts[name] = of_name.size();
    label_pairs += of_name.size();
  }
  for (const size_t limit : {1, 10, 100'000}) {
    const IndexStatistics statistics = index.Statistics(limit, kOld);
    CHECK(statistics.label_pairs == label_pairs);
    CHECK(statistics.series_by_metric_name == Greatest(metrics, limit));
    CHECK(statistics.values_by_label_name == Greatest(value_counts, limit));
    CHECK(statistics.bytes_by_label_name == Greatest(bytes, limit));
    CHECK(statistics.series_by_label_pair == Greatest(pairs, limit));
    CHECK(statistics.growth_by_metric_name == Greatest(growth, limit));
  }
}

TEST_CASE("Statistics of no series are empty") {
  SeriesTable table{{}};
  const SeriesIndex index{&table};
  const IndexStatistics statistics = index.Statistics(10, 0);
  CHECK(statistics.label_pairs == 0);
  CHECK(statistics.series_by_metric_name.empty());
  CHECK(statistics.values_by_label_name.empty());
}

}  // namespace
}  // namespace narthex::tsdb
