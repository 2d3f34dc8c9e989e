// ULIDs as the names of blocks.
#include "services/storage/tsdb/ulid.h"

#include <array>
#include <set>

#include "catch2/catch.hpp"

namespace narthex::tsdb {
namespace {

TEST_CASE("A ULID is written as upstream writes it") {
  // The first of these is of the ULID specification, the second a block's of Prometheus.
  struct Case {
    const char* text;
    Timestamp time;
  };
  for (const Case& one :
       {Case{"01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259},
        Case{"01M7WJYB51E6B8QG907DG520P4", 1795181980833}, Case{"00000000000000000000000000", 0},
        Case{"7ZZZZZZZZZZZZZZZZZZZZZZZZZ", (Timestamp{1} << 48) - 1}}) {
    const auto ulid = Ulid::Parse(one.text);
    REQUIRE(ulid);
    CHECK(ulid->time() == one.time);
    CHECK(ulid->ToString() == one.text);
  }
}

TEST_CASE("What is no ULID is not taken for one") {
  for (const char* text :
       {"", "wal", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAI", "01ARZ3NDEKTSV4RRFFQ69G5FAL",
        "01ARZ3NDEKTSV4RRFFQ69G5FAO", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "01arz3ndektsv4rrffq69g5fav",
        "01ARZ3NDEKTSV4RRFFQ69G5F.V"}) {
    INFO(text);
    CHECK_FALSE(Ulid::Parse(text));
  }
}

TEST_CASE("The order of ULIDs, of their texts and of their times is one") {
  const std::array<uint8_t, Ulid::kEntropySize> low{};
  std::array<uint8_t, Ulid::kEntropySize> high;
  high.fill(0xff);
  const Ulid earlier = Ulid::Make(1000, high);
  const Ulid later = Ulid::Make(1001, low);
  CHECK(earlier < later);
  CHECK(earlier.ToString() < later.ToString());
  CHECK(Ulid::Make(1000, low) < earlier);
  CHECK(Ulid::Make(1000, low).ToString() < earlier.ToString());
}

TEST_CASE("New ULIDs differ and carry their time") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const Ulid ulid = Ulid::New(1700000000000);
    CHECK(ulid.time() == 1700000000000);
    CHECK(Ulid::Parse(ulid.ToString()) == ulid);
    CHECK(seen.insert(ulid.ToString()).second);
  }
  CHECK(Ulid::New(-5).time() == 0);  // A clock before 1970.
}

}  // namespace
}  // namespace narthex::tsdb
