// The index against the obvious: every matcher asked of every label set.
#include "services/storage/tsdb/series_index.h"

#include <algorithm>
#include <random>

#include "catch2/catch.hpp"

namespace narthex::tsdb {
namespace {

struct Fixture {
  SeriesTable table{{}};
  SeriesIndex index{&table};
  std::vector<Labels> series;  // By slot.

  void Add(const Labels& labels) {
    std::vector<LabelView> views;
    for (const LabelView label : labels) views.push_back(label);
    bool added;
    const Slot slot = index.FindOrAdd(views, series.size() + 1, &added);
    if (!added) return;
    REQUIRE(slot == series.size());
    series.push_back(labels);
  }
  std::vector<Slot> Expected(const std::vector<Matcher>& matchers) const {
    std::vector<Slot> slots;
    for (size_t i = 0; i < series.size(); ++i) {
      const bool all = std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
        return matcher.Matches(series[i].Get(matcher.name()));
      });
      if (all) slots.push_back(static_cast<Slot>(i));
    }
    return slots;
  }
};

Matcher Make(MatchType type, std::string_view name, std::string_view value) {
  auto matcher = Matcher::Create(type, name, value);
  REQUIRE(matcher.ok());
  return *matcher;
}

void FillMixed(Fixture* fixture, int count) {
  for (int i = 0; i < count; ++i) {
    std::vector<std::pair<std::string, std::string>> pairs = {
        {"__name__", "metric_" + std::to_string(i % 7)}, {"i", std::to_string(i)}};
    if (i % 3 != 0) pairs.emplace_back("mod", std::to_string(i % 5));
    if (i % 4 == 0) pairs.emplace_back("z", "a\nb");
    fixture->Add(Labels::FromPairs(pairs));
  }
}

TEST_CASE("Every kind of matcher selects what it selects series by series") {
  Fixture fixture;
  FillMixed(&fixture, 2000);
  const char* values[] = {"",
                          ".*",
                          ".+",
                          "1",
                          "1|2",
                          "1|",
                          "(1|2).*",
                          "0",
                          "a.b",
                          "metric",
                          "metric_.",
                          "metric_[0-3]",
                          "1.*9",
                          "x.*",
                          "[13]|",
                          "nothing",
                          "metric_1|metric_2|i"};
  const char* names[] = {"__name__", "i", "mod", "z", "missing"};
  for (const char* name : names) {
    for (const char* value : values) {
      for (const MatchType type :
           {MatchType::kEqual, MatchType::kNotEqual, MatchType::kRegex, MatchType::kNotRegex}) {
        const Matcher matcher = Make(type, name, value);
        INFO(matcher.ToString());
        CHECK(fixture.index.Select(std::vector{matcher}) == fixture.Expected({matcher}));
      }
    }
  }
  CHECK(fixture.index.Select({}).size() == 2000);
}

TEST_CASE("Random conjunctions of matchers select what they select series by series") {
  Fixture fixture;
  FillMixed(&fixture, 3000);
  std::mt19937 random(99);
  const char* values[] = {"", ".*", ".+", "1", "1|2", "1.*", "2|", "metric_.", "metric_3", "a.b"};
  const char* names[] = {"__name__", "i", "mod", "z", "missing"};
  for (int round = 0; round < 1500; ++round) {
    std::vector<Matcher> matchers;
    std::string text;
    for (size_t n = 1 + random() % 4; n-- > 0;) {
      matchers.push_back(
          Make(static_cast<MatchType>(random() % 4), names[random() % 5], values[random() % 10]));
      text += matchers.back().ToString() + " ";
    }
    INFO(text);
    CHECK(fixture.index.Select(matchers) == fixture.Expected(matchers));
  }
}

TEST_CASE("Sorting by labels gives the order of label sets") {
  Fixture fixture;
  FillMixed(&fixture, 500);
  fixture.Add(Labels{{"__name__", "metric_1"}});
  fixture.Add(Labels{{"a", "first"}});
  std::vector<Slot> slots = fixture.index.Select({});
  fixture.index.SortByLabels(&slots);
  REQUIRE(slots.size() == 502);
  for (size_t i = 1; i < slots.size(); ++i) {
    CHECK(fixture.series[slots[i - 1]] < fixture.series[slots[i]]);
    CHECK(fixture.index.LabelsOf(slots[i]) == fixture.series[slots[i]]);
  }
}

TEST_CASE("Known label sets are found and unknown ones are not") {
  Fixture fixture;
  FillMixed(&fixture, 100);
  for (size_t i = 0; i < fixture.series.size(); ++i) {
    std::vector<LabelView> views;
    for (const LabelView label : fixture.series[i]) views.push_back(label);
    CHECK(fixture.index.Find(views) == i);
    views.pop_back();
    CHECK(fixture.index.Find(views) == kNoSlot);
  }
}

TEST_CASE("Names and values are those of the series that are kept") {
  Fixture fixture;
  FillMixed(&fixture, 40);
  using Strings = std::vector<std::string>;
  const auto all = [](Slot) { return true; };
  CHECK(fixture.index.Names(all) == Strings{"__name__", "i", "mod", "z"});
  CHECK(fixture.index.Names([](Slot slot) { return slot == 3; }) == Strings{"__name__", "i"});
  CHECK(fixture.index.Values("mod", all) == Strings{"0", "1", "2", "3", "4"});
  CHECK(fixture.index.Values("mod", [](Slot slot) { return slot < 3; }) == Strings{"1", "2"});
  const std::vector<Slot> slots = {1, 4};
  CHECK(fixture.index.NamesOf(slots) == Strings{"__name__", "i", "mod", "z"});
  CHECK(fixture.index.ValuesOf("i", slots) == Strings{"1", "4"});
  CHECK(fixture.index.ValuesOf("missing", slots).empty());
}

TEST_CASE("Intersections and differences are the same however the lengths differ") {
  std::mt19937 random(5);
  for (int round = 0; round < 400; ++round) {
    const auto make = [&](size_t size) {
      std::vector<Slot> slots;
      for (size_t i = 0; i < size; ++i) slots.push_back(static_cast<Slot>(random() % 2000));
      std::sort(slots.begin(), slots.end());
      slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
      return slots;
    };
    const std::vector<Slot> a = make(random() % (round % 3 == 0 ? 5 : 500));
    const std::vector<Slot> b = make(random() % (round % 3 == 1 ? 5 : 500));
    std::vector<Slot> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    std::vector<Slot> only;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
    std::vector<Slot> slots = a;
    IntersectSlots(b, false, &slots);
    CHECK(slots == both);
    slots = a;
    IntersectSlots(b, true, &slots);
    CHECK(slots == only);
  }
}

TEST_CASE("References lead to their series, over the whole range") {
  SeriesTable table({});
  std::vector<uint64_t> references = {1,
                                      2047,
                                      2048,
                                      uint64_t{1} << 22,
                                      (uint64_t{1} << 22) + 1,
                                      uint64_t{1} << 39,
                                      (uint64_t{1} << 40) - 1};
  for (const uint64_t reference : references) {
    CHECK(table.FindReference(reference) == kNoSlot);
    table.SetReference(reference, table.New(reference));
  }
  for (size_t i = 0; i < references.size(); ++i) CHECK(table.FindReference(references[i]) == i);
  for (const uint64_t unknown : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 40, ~uint64_t{0}}) {
    CHECK(table.FindReference(unknown) == kNoSlot);
  }
}

}  // namespace
}  // namespace narthex::tsdb
