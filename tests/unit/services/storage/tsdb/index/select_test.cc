// Selecting series in an index against the obvious: every matcher asked of every label set.
#include "services/storage/tsdb/index/select.h"

#include <algorithm>
#include <set>

#include "tests/unit/services/storage/tsdb/index/index_fixture.h"

namespace narthex::index {
namespace {

Matcher Make(MatchType type, std::string_view name, std::string_view value) {
  auto matcher = Matcher::Create(type, name, value);
  REQUIRE(matcher.ok());
  return *std::move(matcher);
}

std::vector<Matcher> AllMatchers() {
  std::vector<Matcher> matchers;
  const std::vector<std::string> values = {
      "",      "metric_1", "job-1",       "job-9",     "7",     ".*",          ".+",
      "job-.", "job-[12]", "job-1|job-4", "job-1|",    "(|x)",  "metric_[^3]", "1.*",
      ".*1",   "1|2|3|44", "p+/x",        "z0(.|\n)+", "[0-9]", "metric_.*",   "absent"};
  for (const char* name : {"__name__", "id", "job", "path", "zone", "absent"}) {
    for (const std::string& value : values) {
      for (const MatchType type :
           {MatchType::kEqual, MatchType::kNotEqual, MatchType::kRegex, MatchType::kNotRegex}) {
        matchers.push_back(Make(type, name, value));
      }
    }
  }
  return matchers;
}

class Fixture {
 public:
  explicit Fixture(bool version_1) : series_(RandomSeries(21, 400)) {
    file_ = version_1 ? WriteIndexVersion1(series_) : WriteIndex(series_);
    auto reader = Reader::Open(file_);
    REQUIRE(reader.ok());
    reader_ = *std::move(reader);
    const auto all = reader_->AllPostings();
    REQUIRE(all.ok());
    for (size_t i = 0; i < all->size(); ++i) numbers_.push_back((*all)[i]);
  }
  SeriesList Expected(std::span<const Matcher> matchers) const {
    SeriesList expected;
    for (size_t i = 0; i < series_.size(); ++i) {
      const bool all = std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
        const auto label = series_[i].labels.find(matcher.name());
        return matcher.Matches(label == series_[i].labels.end() ? "" : label->second);
      });
      if (all) expected.push_back(numbers_[i]);
    }
    return expected;
  }
  void Check(std::span<const Matcher> matchers, PostingsCache* cache) const {
    const auto selected = Select(*reader_, matchers, cache);
    REQUIRE(selected.ok());
    if (*selected == Expected(matchers)) return;
    std::string text;
    for (const Matcher& matcher : matchers) StrAppend(&text, matcher.ToString(), " ");
    FAIL_CHECK(text << " selects " << selected->size() << " series");
  }

 private:
  std::vector<TestSeries> series_;
  std::string file_;
  std::unique_ptr<Reader> reader_;
  SeriesList numbers_;
};

TEST_CASE("Matchers select what they match") {
  const std::vector<Matcher> matchers = AllMatchers();
  for (const bool version_1 : {false, true}) {
    const Fixture fixture(version_1);
    PostingsCache cache(size_t{1} << 20);
    fixture.Check({}, &cache);
    for (const Matcher& matcher : matchers) {
      const std::vector<Matcher> one = {matcher};
      fixture.Check(one, nullptr);
      fixture.Check(one, &cache);
      fixture.Check(one, &cache);  // Now from the cache.
    }
    CHECK(cache.size_bytes() > 0);
    std::mt19937 random(4);
    for (int i = 0; i < 3000; ++i) {
      std::vector<Matcher> several;
      for (size_t left = 2 + random() % 3; left > 0; --left) {
        several.push_back(matchers[random() % matchers.size()]);
      }
      fixture.Check(several, random() % 2 == 0 ? &cache : nullptr);
    }
  }
}

TEST_CASE("The cache keeps what was used last, within its bytes") {
  PostingsCache cache(4000);
  const auto list = [](size_t size) { return std::make_shared<const SeriesList>(size, 7); };
  cache.Insert("big", list(1000));
  CHECK(cache.Find("big") == nullptr);
  CHECK(cache.size_bytes() == 0);
  for (int i = 0; i < 30; ++i) {
    cache.Insert(StrCat("key", i), list(100));
    CHECK(cache.Find("key0") != nullptr);
    CHECK(cache.size_bytes() <= 4000);
  }
  CHECK(cache.Find("key1") == nullptr);
  CHECK(cache.Find("key29") != nullptr);
  const size_t before = cache.size_bytes();
  cache.Insert("key29", list(100));
  CHECK(cache.size_bytes() == before);
}

std::string Encode(const SeriesList& list) {
  std::string bytes;
  for (const uint32_t one : list) AppendBig(&bytes, one);
  return bytes;
}

TEST_CASE("Arithmetic of lists agrees with that of sets") {
  std::mt19937 random(6);
  for (int round = 0; round < 400; ++round) {
    const auto random_list = [&random](size_t size_max, uint32_t range) {
      std::set<uint32_t> set;
      const size_t size = random() % (size_max + 1);
      while (set.size() < size) set.insert(random() % range);
      return SeriesList(set.begin(), set.end());
    };
    const uint32_t range = round % 2 == 0 ? 3000 : 4'000'000'000;
    std::vector<SeriesList> lists;
    for (size_t left = random() % 6; left > 0; --left) {
      lists.push_back(random_list(random() % 3 == 0 ? 500 : 20, range));
    }
    std::vector<std::string> bytes;
    std::set<uint32_t> all;
    for (const SeriesList& list : lists) {
      bytes.push_back(Encode(list));
      all.insert(list.begin(), list.end());
    }
    std::vector<PostingsView> views;
    for (size_t i = 0; i < lists.size(); ++i) views.emplace_back(bytes[i].data(), lists[i].size());
    CHECK(Union(views) == SeriesList(all.begin(), all.end()));

    for (size_t i = 1; i < lists.size(); ++i) {
      SeriesList common;
      std::set_intersection(lists[0].begin(), lists[0].end(), lists[i].begin(), lists[i].end(),
                            std::back_inserter(common));
      SeriesList rest;
      std::set_difference(lists[0].begin(), lists[0].end(), lists[i].begin(), lists[i].end(),
                          std::back_inserter(rest));
      SeriesList result = lists[0];
      Intersect(views[i], &result);
      CHECK(result == common);
      result = lists[0];
      Intersect(std::span<const uint32_t>(lists[i]), &result);
      CHECK(result == common);
      result = lists[0];
      Subtract(views[i], &result);
      CHECK(result == rest);
      result = lists[0];
      Subtract(std::span<const uint32_t>(lists[i]), &result);
      CHECK(result == rest);
      CHECK(Intersects(views[i], lists[0]) == !common.empty());
      CHECK(Copy(views[i]) == lists[i]);
    }
  }
}

}  // namespace
}  // namespace narthex::index
