#include "services/query/api/notifications.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "tests/support/fake_clock.h"

namespace narthex::query_api {
namespace {

struct Fixture {
  std::string Listed() { return notifications.List(request).data; }

  http::ServerRequest request;
  FakeClock clock{absl::FromUnixSeconds(1'700'000'000)};
  metrics::Registry registry;
  Notifications notifications{&clock, &registry, 2};
};

TEST_CASE("What is active is listed, once each") {
  Fixture fixture;
  CHECK(fixture.Listed() == "[]");
  fixture.notifications.Add("a");
  fixture.notifications.Add("b");
  fixture.clock.Advance(absl::Seconds(1));
  fixture.notifications.Add("a");
  CHECK(fixture.Listed() == R"([{"text":"a","date":"2023-11-14T22:13:21Z","active":true},)"
                            R"({"text":"b","date":"2023-11-14T22:13:20Z","active":true}])");
  fixture.notifications.Remove("a");
  fixture.notifications.Remove("nosuch");
  fixture.notifications.Remove("b");
  CHECK(fixture.Listed() == "[]");
}

TEST_CASE("A live stream begins with what is active and follows every change") {
  Fixture fixture;
  fixture.request.cancelled = [] { return false; };
  fixture.notifications.Add("a");
  http::ServerResponse response = fixture.notifications.Live(fixture.request);
  CHECK(response.content_type == "text/event-stream");
  fixture.notifications.Add("b");
  fixture.notifications.Remove("a");
  fixture.notifications.Close();
  std::vector<std::string> pieces;
  CHECK(response.stream([&](std::string_view piece) {
    pieces.emplace_back(piece);
    return true;
  }));
  const auto event = [](std::string text, std::string active) {
    return "data: {\"text\":\"" + text +
           "\",\"date\":\"2023-11-14T22:13:20Z\",\"active\":" + active + "}\n\n";
  };
  // The empty pieces send what is there.
  CHECK(pieces == std::vector<std::string>{event("a", "true"), "", event("b", "true"), "",
                                           event("a", "false"), ""});
  // Nothing new begins while it ends.
  CHECK(fixture.notifications.Live(fixture.request).status == 204);
}

TEST_CASE("There are only so many live streams, and one that ends makes room") {
  Fixture fixture;
  bool gone = false;
  fixture.request.cancelled = [&gone] { return gone; };
  http::ServerResponse first = fixture.notifications.Live(fixture.request);
  http::ServerResponse second = fixture.notifications.Live(fixture.request);
  CHECK(fixture.notifications.Live(fixture.request).status == 204);
  gone = true;
  CHECK(first.stream([](std::string_view) { return true; }));
  first = http::ServerResponse();
  CHECK(fixture.notifications.Live(fixture.request).status == 200);
}

TEST_CASE("A stream whose client does not take the bytes ends") {
  Fixture fixture;
  fixture.request.cancelled = [] { return false; };
  http::ServerResponse response = fixture.notifications.Live(fixture.request);
  fixture.notifications.Add("a");
  CHECK_FALSE(response.stream([](std::string_view) { return false; }));
}

}  // namespace
}  // namespace narthex::query_api
