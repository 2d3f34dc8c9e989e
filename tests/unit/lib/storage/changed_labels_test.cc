#include "lib/storage/changed_labels.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/labels/labels_builder.h"
#include "tests/support/memory_storage.h"

namespace narthex::storage {
namespace {

using testing::MemoryStorage;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// The series of a store in label order, each with one sample whose value names it.
std::unique_ptr<SeriesSet> All(MemoryStorage* store) {
  Selector selector;
  selector.hints.end = 10'000;
  auto result = store->Select(std::span(&selector, 1), SelectOptions());
  REQUIRE(result.ok());
  return std::move(result->sets[0]);
}

std::vector<std::pair<Labels, double>> ReadAll(SeriesSet* set) {
  std::vector<std::pair<Labels, double>> series;
  while (set->Next()) {
    SampleBuffer samples;
    REQUIRE(set->ReadSamples(&samples).ok());
    REQUIRE(samples.size() == 1);
    series.emplace_back(set->labels(), samples.values()[0]);
  }
  REQUIRE(set->status().ok());
  return series;
}

TEST_CASE("A label more or less leaves random series in label order, each with its samples") {
  std::mt19937 random(7);
  const auto pick = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  for (int round = 0; round < 300; ++round) {
    const bool add = round % 2 == 0;
    MemoryStorage store;
    std::map<Labels, double> stored;
    const int count = pick(40);
    for (int i = 0; i < count; ++i) {
      Pairs pairs;
      // "m" is the label that comes or goes; the others lie around it.
      for (const char* const name : {"a", "k", "m", "mm", "z"}) {
        if (pick(2) == 0) pairs.emplace_back(name, StrCat(pick(3)));
      }
      const Labels labels = Labels::FromPairs(pairs);
      // A series without labels there cannot be.
      if (labels.empty() || (!add && labels.size() == 1 && labels.Has("m")) ||
          !stored.emplace(labels, i).second)
        continue;
      store.Append(labels, 1000, i);
    }
    std::vector<std::pair<Labels, double>> expected;
    for (const auto& [labels, value] : stored) {
      LabelsBuilder builder(labels);
      if (!add) builder.Del("m");
      if (add && !labels.Has("m")) builder.Set("m", "1");
      expected.emplace_back(builder.Build(), value);
    }
    std::sort(expected.begin(), expected.end());
    const auto changed = add ? WithLabel(All(&store), "m", "1") : WithoutLabel(All(&store), "m");
    std::vector<std::pair<Labels, double>> found = ReadAll(changed.get());
    std::string order;
    for (const auto& one : found) order += one.first.ToString() + "\n";
    INFO((add ? "with m\n" : "without m\n") << order);
    CHECK(std::is_sorted(found.begin(), found.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; }));
    std::sort(found.begin(), found.end());
    CHECK(found == expected);
  }
}

TEST_CASE("Series of one shape are handed through without being held back") {
  // A set that fails when it is read further than asked for.
  class Endless : public SeriesSet {
   public:
    bool Next() override {
      ++position_;
      labels_ = Labels{{kMetricName, "up"}, {"instance", StrCat("host-", 1000 + position_)}};
      return true;
    }
    const Labels& labels() const override { return labels_; }
    absl::Status ReadSamples(SampleBuffer* out) override {
      out->Append(1000, position_);
      return absl::OkStatus();
    }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    int position_ = 0;
    Labels labels_;
  };
  const auto set = WithLabel(std::make_unique<Endless>(), "cluster", "eu");
  for (int i = 1; i < 5; ++i) {
    REQUIRE(set->Next());
    CHECK(set->labels() ==
          Labels{{kMetricName, "up"}, {"cluster", "eu"}, {"instance", StrCat("host-", 1000 + i)}});
    SampleBuffer samples;
    REQUIRE(set->ReadSamples(&samples).ok());
    CHECK(samples.values()[0] == i);
  }
}

}  // namespace
}  // namespace narthex::storage
