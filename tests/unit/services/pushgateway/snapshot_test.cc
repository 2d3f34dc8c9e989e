#include "services/pushgateway/snapshot.h"

#include <cmath>
#include <limits>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/pushgateway/text_parser.h"
#include "tests/support/fake_clock.h"

namespace narthex::pushgateway {
namespace {

std::vector<Group> SampleGroups() {
  FakeClock clock;
  MetricStore store({true, [] { return std::vector<metrics::CollectedFamily>(); }}, &clock);
  REQUIRE(
      store
          .Push({{"job", "z"}, {"instance", ""}},
                *ParsePushedText(
                    "# HELP c help\n# TYPE c counter\nc{x=\"\xc3\xa9\"} 1e300\nc -Inf\n"
                    "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n"
                    "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 4\nu 1\n"),
                true)
          .ok());
  REQUIRE(store.Push({{"job", "a"}}, *ParsePushedText("g 1\n"), true).ok());
  return store.Groups();
}

TEST_CASE("A snapshot comes back whole, oldest group first") {
  const std::vector<Group> groups = SampleGroups();
  const auto back = DecodeSnapshot(EncodeSnapshot(groups));
  REQUIRE(back.ok());
  REQUIRE(back->size() == 2);
  CHECK((*back)[0].key == GroupingKey{{"job", "z"}, {"instance", ""}});
  CHECK((*back)[1].key == GroupingKey{{"job", "a"}});
  for (const Group& group : *back) {
    for (const Group& original : groups) {
      if (original.key != group.key) continue;
      REQUIRE(original.families.size() == group.families.size());
      for (const auto& [name, stored] : group.families) {
        CHECK(*stored.family == *original.families.find(name)->second.family);
        CHECK(stored.pushed == original.families.find(name)->second.pushed);
      }
    }
  }
}

TEST_CASE("An empty store is the ten bytes of the format's description") {
  const std::string bytes = EncodeSnapshot({});
  CHECK(Quote(bytes) == Quote(std::string("NXPG\x01\x51\x53\x7d\x52\x00", 10)));
  CHECK(DecodeSnapshot(bytes)->empty());
}

TEST_CASE("Every truncation and every flipped byte is refused") {
  const std::string bytes = EncodeSnapshot(SampleGroups());
  for (size_t i = 0; i < bytes.size(); ++i) {
    INFO(i);
    CHECK(absl::IsDataLoss(DecodeSnapshot(std::string_view(bytes).substr(0, i)).status()));
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x20);
    CHECK(absl::IsDataLoss(DecodeSnapshot(flipped).status()));
  }
  CHECK(absl::IsDataLoss(DecodeSnapshot(bytes + "x").status()));
  CHECK(Message(DecodeSnapshot("something else").status()) == "not a pushgateway snapshot");
}

}  // namespace
}  // namespace narthex::pushgateway
