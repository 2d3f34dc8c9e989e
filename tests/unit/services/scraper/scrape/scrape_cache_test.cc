#include "services/scraper/scrape/scrape_cache.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/scraper/scrape/metadata_cache.h"

namespace narthex::scrape {
namespace {

using Known = ScrapeCache::Known;

// Runs rounds on a cache where each text is a series of its own (or "drop…", which is dropped).
struct Fixture {
  ScrapeCache cache;
  storage::SeriesNumber next_number = 1;
  std::map<std::string, storage::SeriesNumber> numbers;  // Of the last time it was new.
  size_t learned = 0;
  size_t duplicates = 0;

  void Sample(const std::string& text, bool track = true) {
    ScrapeCache::Found found = cache.Find(text);
    if (found.known == Known::kUnknown) {
      ++learned;
      if (text.starts_with("drop")) {
        cache.AddDropped(text);
        return;
      }
      // "a;1" and "a;2" are two texts of one series.
      const Labels labels{{"__name__", text.substr(0, text.find(';'))}};
      auto series = cache.FindSeries(labels);
      if (!series.has_value()) {
        series = cache.NewSeries(labels, next_number);
        numbers[std::string(labels.metric_name())] = next_number++;
      }
      cache.AddSeries(text, *series);
      found = {Known::kSeries, *series};
    }
    if (found.known == Known::kSeries && !cache.Mark(found.series, track)) ++duplicates;
  }
  std::set<storage::SeriesNumber> Good(const std::vector<std::string>& texts, bool track = true) {
    learned = duplicates = 0;
    std::set<storage::SeriesNumber> stale;
    cache.Begin();
    for (const std::string& text : texts) Sample(text, track);
    cache.Commit([&](storage::SeriesNumber number) { CHECK(stale.insert(number).second); });
    return stale;
  }
  std::set<storage::SeriesNumber> Failed(const std::vector<std::string>& texts) {
    learned = duplicates = 0;
    std::set<storage::SeriesNumber> stale;
    cache.Begin();
    for (const std::string& text : texts) Sample(text);
    forced = cache.Abort([&](storage::SeriesNumber number) { CHECK(stale.insert(number).second); });
    return stale;
  }
  bool forced = false;
};

using Numbers = std::set<storage::SeriesNumber>;

TEST_CASE("known text is found in the same order, in another, and with gaps and additions") {
  Fixture f;
  CHECK(f.Good({"a", "b", "c"}).empty());
  CHECK(f.learned == 3);
  CHECK(f.Good({"a", "b", "c"}).empty());
  CHECK(f.learned == 0);
  CHECK(f.Good({"c", "a", "b"}).empty());
  CHECK(f.learned == 0);
  CHECK(f.Good({"c", "x", "a", "b"}).empty());
  CHECK(f.learned == 1);
  CHECK(f.Good({"c", "x", "a", "b", "y"}).empty());
  CHECK(f.learned == 1);
  CHECK(f.cache.texts() == 5);
}

TEST_CASE("a series that disappears is stale once, and its number retires") {
  Fixture f;
  f.Good({"a", "b", "c"});
  CHECK(f.Good({"a", "c"}) == Numbers{f.numbers["b"]});
  CHECK(f.cache.TakeRetired() == std::vector<storage::SeriesNumber>{f.numbers["b"]});
  CHECK(f.Good({"a", "c"}).empty());
  CHECK(f.cache.TakeRetired().empty());
  CHECK(f.cache.series() == 2);
  // It comes back as a new one.
  const storage::SeriesNumber old = f.numbers["b"];
  CHECK(f.Good({"a", "b", "c"}).empty());
  CHECK(f.numbers["b"] != old);
}

TEST_CASE("a failed scrape ends all live series, keeps the texts, and is no new beginning") {
  Fixture f;
  f.Good({"a", "b", "c"});
  CHECK(f.Failed({}) == Numbers{1, 2, 3});
  CHECK(f.Failed({}).empty());
  CHECK(f.cache.TakeRetired().empty());
  CHECK(f.Good({"a", "b"}).empty());
  CHECK(f.learned == 0);
  CHECK(f.cache.TakeRetired() == std::vector<storage::SeriesNumber>{f.numbers["c"]});
  CHECK(f.Good({"b"}) == Numbers{f.numbers["a"]});
}

TEST_CASE("what a failing scrape had read before it failed goes stale all the same") {
  Fixture f;
  f.Good({"a", "b"});
  CHECK(f.Failed({"a", "new"}) == Numbers{f.numbers["a"], f.numbers["b"]});
  CHECK(f.Good({"a", "b", "new"}).empty());
  CHECK(f.learned == 0);
  CHECK(f.cache.live() == 3);
}

TEST_CASE("series with timestamps of their own never go stale") {
  Fixture f;
  f.Good({"a", "b"}, /*track=*/false);
  CHECK(f.Good({"a"}, false).empty());
  CHECK(f.cache.TakeRetired() == std::vector<storage::SeriesNumber>{f.numbers["b"]});
  CHECK(f.Failed({}).empty());
  // One that had none and then has one does.
  f.Good({"a"}, true);
  CHECK(f.Good({"a"}, false) == Numbers{f.numbers["a"]});
}

TEST_CASE("two texts of one series share its number, and the second sample is a duplicate") {
  Fixture f;
  f.Good({"a;1", "a;2", "b"});
  CHECK(f.duplicates == 1);
  CHECK(f.cache.texts() == 3);
  CHECK(f.cache.series() == 2);
  CHECK(f.Good({"a;2", "b"}).empty());
  CHECK(f.cache.TakeRetired().empty());
  CHECK(f.Good({"b"}) == Numbers{f.numbers["a"]});
  CHECK(f.cache.TakeRetired().size() == 1);
}

TEST_CASE("dropped text is known and forgotten like other text") {
  Fixture f;
  f.Good({"a", "drop1", "drop2"});
  f.Good({"a", "drop1", "drop2"});
  CHECK(f.learned == 0);
  CHECK(f.cache.series() == 1);
  CHECK(f.Good({"a", "drop2"}).empty());
  CHECK(f.cache.texts() == 2);
}

TEST_CASE("after Forget texts are learned anew and keep their series") {
  Fixture f;
  f.Good({"a", "b", "c"});
  f.cache.Forget();
  CHECK(f.Good({"a", "b"}) == Numbers{f.numbers["c"]});
  CHECK(f.learned == 2);
  CHECK(f.numbers["a"] == 1);
  CHECK(f.cache.TakeRetired() == std::vector<storage::SeriesNumber>{f.numbers["c"]});
  CHECK(f.cache.series() == 2);
}

TEST_CASE("failing scrapes with ever new text are flushed before they fill the memory") {
  Fixture f;
  f.Good({"a"});
  bool forced = false;
  for (int i = 0; i < 100; ++i) {
    std::vector<std::string> texts;
    for (int j = 0; j < 100; ++j) texts.push_back(StrCat("r", i, "_", j));
    f.Failed(texts);
    forced |= f.forced;
    REQUIRE(f.cache.texts() <= 1200);
  }
  CHECK(forced);
}

TEST_CASE("Clear returns every number once") {
  Fixture f;
  f.Good({"a", "b", "c"});
  f.Good({"a", "b"});
  std::vector<storage::SeriesNumber> numbers = f.cache.Clear();
  CHECK(Numbers(numbers.begin(), numbers.end()) == Numbers{1, 2, 3});
  CHECK(numbers.size() == 3);
  CHECK(f.cache.texts() == 0);
  CHECK(f.Good({"a"}).empty());
}

// Against a plain model of what upstream does.
TEST_CASE("random scrapes give the markers that a model gives") {
  const uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Fixture f;
  Numbers live;
  Numbers retired;
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts;
    for (int i = 0; i < 40; ++i) {
      if (random() % 8 != 0) texts.push_back(StrCat(random() % 10 == 0 ? "drop" : "s", i));
    }
    if (random() % 5 == 0) std::shuffle(texts.begin(), texts.end(), random);
    const bool good = random() % 6 != 0;
    if (random() % 20 == 0) f.cache.Forget();
    const Numbers stale = good ? f.Good(texts) : f.Failed(texts);
    Numbers now;
    if (good) {
      for (const std::string& text : texts) {
        if (!text.starts_with("drop")) now.insert(f.numbers.at(text));
      }
    }
    Numbers expected;
    for (const storage::SeriesNumber number : live) {
      if (!now.contains(number)) expected.insert(number);
    }
    REQUIRE(stale == expected);
    live = now;
    for (const storage::SeriesNumber number : f.cache.TakeRetired()) {
      REQUIRE(retired.insert(number).second);
      REQUIRE_FALSE(live.contains(number));
    }
    REQUIRE(f.cache.live() == live.size());
    if (good) REQUIRE(f.cache.series() == live.size());
  }
}

TEST_CASE("metadata is kept while its family is there and ten scrapes longer") {
  MetadataCache cache;
  const auto round = [&](const std::vector<std::string>& families) {
    cache.Begin();
    for (const std::string& family : families) {
      cache.SetHelp(family, "help of " + family);
      cache.SetType(family, MetricType::kGauge);
    }
    cache.Commit();
  };
  round({"a", "b", "c"});
  for (int i = 0; i < 10; ++i) round({"c", "a"});
  REQUIRE(cache.Find("b") != nullptr);
  CHECK(cache.Find("b")->help == "help of b");
  round({"a", "c"});
  CHECK(cache.Find("b") == nullptr);
  CHECK(cache.size() == 2);
  REQUIRE(cache.Find("c") != nullptr);
  CHECK(cache.Find("c")->type == MetricType::kGauge);
  std::vector<std::string> names;
  cache.ForEach([&](const std::string& family, const Metadata&) { names.push_back(family); });
  CHECK(names == std::vector<std::string>{"a", "c"});
  cache.Begin();
  cache.SetUnit("a", "seconds");
  CHECK(cache.Find("a")->unit == "seconds");
  CHECK(cache.bytes() == 2 + 18 + 7);
}

}  // namespace
}  // namespace narthex::scrape
