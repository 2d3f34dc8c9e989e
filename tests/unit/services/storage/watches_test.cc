// GrowthMarks and StallWatch on a clock of the test's.
#include "catch2/catch.hpp"
#include "services/storage/growth_marks.h"
#include "services/storage/stall_watch.h"
#include "tests/support/fake_clock.h"

namespace narthex::storage_service {
namespace {

TEST_CASE("Growth is counted from the oldest mark of the window") {
  GrowthMarks marks;
  CHECK(marks.empty());
  CHECK(marks.Due(absl::Seconds(5)));
  // A mark a minute for three hours; references grow by ten a minute.
  for (int minute = 0; minute <= 180; ++minute) {
    const absl::Duration now = absl::Minutes(minute);
    REQUIRE(marks.Due(now));
    marks.Add(now, static_cast<uint64_t>(minute) * 10);
    CHECK_FALSE(marks.Due(now + absl::Seconds(59)));
    const GrowthMarks::Mark oldest = marks.Oldest(now);
    const int expected = std::max(0, minute - 61);
    CHECK(oldest.at == absl::Minutes(expected));
    CHECK(oldest.reference == static_cast<uint64_t>(expected) * 10);
  }
  // Nobody came by for a day: the newest mark is what there is.
  CHECK(marks.Oldest(absl::Hours(30)).at == absl::Minutes(180));
}

TEST_CASE("Only answers that wait too long for their receiver are cancelled") {
  FakeClock clock;
  StallWatch watch(&clock);
  int cancelled_a = 0;
  int cancelled_b = 0;
  StallWatch::Answer a(&watch, [&] { ++cancelled_a; });
  {
    StallWatch::Answer b(&watch, [&] { ++cancelled_b; });
    CHECK(watch.answers() == 2);
    clock.Advance(absl::Hours(1));
    // At work, not waiting.
    CHECK(watch.CancelStalled(absl::Minutes(1)) == 0);
    a.Sending();
    clock.Advance(absl::Seconds(40));
    b.Sending();
    CHECK(watch.CancelStalled(absl::Minutes(1)) == 0);
    clock.Advance(absl::Seconds(30));
    CHECK(watch.CancelStalled(absl::Minutes(1)) == 1);
    CHECK(cancelled_a == 1);
    CHECK(cancelled_b == 0);
    a.Sent();
    clock.Advance(absl::Hours(1));
    b.Sent();
    CHECK(watch.CancelStalled(absl::Minutes(1)) == 0);
  }
  CHECK(watch.answers() == 1);
}

}  // namespace
}  // namespace narthex::storage_service
