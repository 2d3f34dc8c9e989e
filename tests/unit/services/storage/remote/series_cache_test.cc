#include <random>
#include <unordered_map>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/thread.h"
#include "services/storage/remote/series_cache.h"

namespace narthex::storage_remote {
namespace {

constexpr Timestamp kHour = 3'600'000;

Hash128 Key(const SeriesCache& cache, uint64_t number) {
  std::string text;
  AppendBig(&text, number);
  return FastHash128(text, cache.seed());
}

storage::SeriesRef Find(const SeriesCache& cache, uint64_t number, Timestamp now) {
  const Hash128 key = Key(cache, number);
  storage::SeriesRef reference = 77;
  cache.Find(std::span(&key, 1), now, std::span(&reference, 1));
  return reference;
}

void Insert(SeriesCache* cache, uint64_t number, storage::SeriesRef reference, Timestamp now) {
  const Hash128 key = Key(*cache, number);
  cache->Insert(std::span(&key, 1), std::span(&reference, 1), now);
}

}  // namespace

TEST_CASE("The series cache answers like a map over inserts, changes and removals") {
  SeriesCache cache;
  std::unordered_map<uint64_t, storage::SeriesRef> twin;
  std::mt19937_64 random(7);
  for (int i = 0; i < 60'000; ++i) {
    const uint64_t number = random() % 9000;
    if (random() % 3 == 0) {
      const storage::SeriesRef reference = random() % 5 == 0 ? 0 : 1 + random() % 100'000;
      Insert(&cache, number, reference, kHour);
      twin[number] = reference;
    } else {
      const auto found = twin.find(number);
      REQUIRE(Find(cache, number, kHour) == (found == twin.end() ? 0 : found->second));
    }
  }
  CHECK(cache.size() >= 6000);
  CHECK(cache.memory_bytes() <= size_t{32768} * 16);
}

TEST_CASE("Series that rest for hours make room, those in use stay") {
  SeriesCache cache;
  for (uint64_t i = 0; i < 800; ++i) Insert(&cache, i, i + 1, 0);
  for (Timestamp hour = 1; hour < 5; ++hour) {
    for (uint64_t i = 0; i < 100; ++i) REQUIRE(Find(cache, i, hour * kHour) == i + 1);
  }
  for (uint64_t i = 1000; i < 1200; ++i) Insert(&cache, i, i, 5 * kHour);
  for (uint64_t i = 0; i < 100; ++i) CHECK(Find(cache, i, 5 * kHour) == i + 1);
  CHECK(Find(cache, 500, 5 * kHour) == 0);
  CHECK(Find(cache, 1100, 5 * kHour) == 1100);
}

TEST_CASE("The series cache stays within its bound") {
  SeriesCache cache(5000);
  for (uint64_t i = 1; i < 50'000; ++i) Insert(&cache, i, i, kHour);
  CHECK(cache.size() <= 16384);
  CHECK(cache.memory_bytes() <= size_t{16384} * 16);
  CHECK(Find(cache, 49'999, kHour) == 49'999);
  // A reference that does not fit is not kept.
  Insert(&cache, 7, storage::SeriesRef{1} << 40, kHour);
  CHECK(Find(cache, 7, kHour) != storage::SeriesRef{1} << 40);
}

TEST_CASE("Readers and writers of the series cache work beside each other") {
  SeriesCache cache;
  StopSignal stop;
  std::vector<Thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back("reader", [&] {
      while (!stop.stopped()) {
        for (uint64_t i = 1; i < 500; ++i) {
          const storage::SeriesRef found = Find(cache, i, static_cast<Timestamp>(i % 9) * kHour);
          if (found != 0 && found != i) stop.Set();
        }
      }
    });
  }
  for (uint64_t i = 1; i < 4000; ++i) Insert(&cache, i, i, static_cast<Timestamp>(i % 9) * kHour);
  CHECK_FALSE(stop.stopped());
  stop.Set();
}

}  // namespace narthex::storage_remote
