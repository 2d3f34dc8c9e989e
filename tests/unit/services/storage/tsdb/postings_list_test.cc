// Sets of slots against std::set, over the sizes at which they change their form.
#include "services/storage/tsdb/postings_list.h"

#include <algorithm>
#include <random>
#include <set>

#include "catch2/catch.hpp"

namespace narthex::tsdb {
namespace {

void CheckSame(const PostingsList& list, const std::set<Slot>& expected, Slot slots_end) {
  REQUIRE(list.size() == expected.size());
  std::vector<Slot> slots;
  list.AppendTo(&slots);
  REQUIRE(slots == std::vector<Slot>(expected.begin(), expected.end()));
  SlotBits bits((slots_end + 63) / 64);
  list.SetIn(&bits);
  size_t set = 0;
  for (const uint64_t word : bits) set += static_cast<size_t>(std::popcount(word));
  REQUIRE(set == expected.size());
}

struct Shape {
  const char* what;
  Slot slots_end;
  int additions;
};

TEST_CASE("A list is the set of what was added and not removed, whatever its form") {
  std::mt19937 random(11);
  const std::vector<Shape> shapes = {{"inside", 10, 2},
                                     {"a small array", 1000, 40},
                                     {"thin containers", 1 << 20, 3000},
                                     {"bits", 70'000, 60'000},
                                     {"bits beside thin ones", 1 << 18, 40'000}};
  for (const Shape& shape : shapes) {
    INFO(shape.what);
    PostingsList list;
    std::set<Slot> expected;
    size_t heap_bytes = 0;
    const auto pick = [&] { return static_cast<Slot>(random() % shape.slots_end); };
    for (int i = 0; i < shape.additions; ++i) {
      const Slot slot = pick();
      REQUIRE(list.Add(slot, &heap_bytes) == expected.insert(slot).second);
    }
    CheckSame(list, expected, shape.slots_end);
    CHECK(heap_bytes == list.heap_bytes());
    for (int i = 0; i < 2000; ++i) {
      const Slot slot = pick();
      REQUIRE(list.Contains(slot) == expected.contains(slot));
    }
    // Most go again, some come back.
    for (int i = 0; i < shape.additions * 3; ++i) {
      const Slot slot = pick();
      if (i % 4 == 0) {
        REQUIRE(list.Add(slot, &heap_bytes) == expected.insert(slot).second);
      } else {
        REQUIRE(list.Remove(slot, &heap_bytes) == (expected.erase(slot) > 0));
      }
    }
    CheckSame(list, expected, shape.slots_end);
    CHECK(heap_bytes == list.heap_bytes());
    while (!expected.empty()) {
      const Slot slot = *expected.begin();
      REQUIRE(list.Remove(slot, &heap_bytes));
      expected.erase(slot);
    }
    CHECK(list.empty());
    CHECK(list.heap_bytes() == 0);
    CHECK(heap_bytes == 0);
    CHECK(list.Add(5, &heap_bytes));
    CHECK(list.Contains(5));
  }
}

TEST_CASE("A list narrows other slots to what it has, or has not") {
  std::mt19937 random(12);
  for (int round = 0; round < 200; ++round) {
    const Slot end = round % 2 == 0 ? 500 : 1 << 18;
    const int additions = static_cast<int>(random() % (round % 3 == 0 ? 20 : 12'000));
    PostingsList list;
    size_t heap_bytes = 0;
    for (int i = 0; i < additions; ++i) list.Add(static_cast<Slot>(random() % end), &heap_bytes);
    std::set<Slot> wanted;
    for (int i = 0; i < 300; ++i) wanted.insert(static_cast<Slot>(random() % end));
    for (const bool subtract : {false, true}) {
      std::vector<Slot> slots(wanted.begin(), wanted.end());
      list.Narrow(subtract, &slots);
      std::vector<Slot> expected;
      for (const Slot slot : wanted) {
        if (list.Contains(slot) != subtract) expected.push_back(slot);
      }
      CHECK(slots == expected);
    }
  }
}

TEST_CASE("Asking stops with the first slot that is accepted") {
  PostingsList list;
  size_t heap_bytes = 0;
  for (Slot slot = 0; slot < 20'000; slot += 2) list.Add(slot, &heap_bytes);
  int asked = 0;
  CHECK(list.Any([&](Slot slot) {
    ++asked;
    return slot >= 10'000;
  }));
  CHECK(asked == 5001);
  CHECK(!list.Any([](Slot slot) { return slot % 2 == 1; }));
}

}  // namespace
}  // namespace narthex::tsdb
