#include "lib/rpc/label_cache.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::rpc {
namespace {

Labels Series(uint64_t id) { return Labels{{kMetricName, "m"}, {"id", StrCat(id)}}; }

void InsertOne(LabelCache* cache, std::string_view space, uint64_t id) {
  cache->Insert(space, std::vector<uint64_t>{id}, std::vector<Labels>{Series(id)});
}

bool Has(LabelCache* cache, std::string_view space, uint64_t id) {
  std::vector<Labels> labels(1);
  std::vector<size_t> missing;
  cache->Find(space, std::vector<uint64_t>{id}, &labels, &missing);
  if (missing.empty()) CHECK(labels[0] == Series(id));
  return missing.empty();
}

TEST_CASE("The label cache finds what was inserted and reports the positions of the rest") {
  LabelCache cache(1 << 20);
  InsertOne(&cache, "s", 3);
  const std::vector<uint64_t> ids = {7, 0, 3, 9};
  std::vector<Labels> labels(ids.size());
  std::vector<size_t> missing;
  cache.Find("s", ids, &labels, &missing);
  CHECK(missing == std::vector<size_t>{0, 3});
  CHECK(labels[2] == Series(3));
}

TEST_CASE("Ids of one reference space say nothing in another") {
  LabelCache cache(1 << 20);
  InsertOne(&cache, "old", 1);
  CHECK_FALSE(Has(&cache, "new", 1));
  CHECK(Has(&cache, "old", 1));
  InsertOne(&cache, "new", 2);
  CHECK(cache.size() == 1);
  CHECK_FALSE(Has(&cache, "old", 1));
  CHECK_FALSE(Has(&cache, "new", 1));
}

TEST_CASE("The label cache stays within its bytes and keeps what is used") {
  constexpr size_t kBytesMax = 100'000;
  LabelCache cache(kBytesMax);
  InsertOne(&cache, "s", 1);
  for (uint64_t id = 2; id < 20'000; ++id) {
    InsertOne(&cache, "s", id);
    REQUIRE(cache.bytes() <= kBytesMax + 200);
    if (id % 100 == 0) REQUIRE(Has(&cache, "s", 1));
  }
  CHECK(cache.size() > 100);
  CHECK_FALSE(Has(&cache, "s", 2));
  CHECK(Has(&cache, "s", 19'999));
}

}  // namespace
}  // namespace narthex::rpc
