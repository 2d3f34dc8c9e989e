#include "services/alertmanager/nflog/notification_log.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::nflog {
namespace {

Entry Make(const std::string& key, std::vector<uint64_t> firing) {
  return {key, {"r", "webhook", 1}, absl::Time(), std::move(firing), {7, 9}};
}

class Fixture {
 public:
  Fixture() { CHECK(fs.CreateDirectories("/d").ok()); }
  std::unique_ptr<NotificationLog> Open() {
    auto log = NotificationLog::Open({.path = "/d/nflog", .retention = absl::Hours(1)}, &fs, &clock,
                                     Logger(), &registry);
    REQUIRE(log.ok());
    return *std::move(log);
  }
  FaultFileSystem fs;
  FakeClock clock;
  metrics::Registry registry;
};

TEST_CASE("entries are found by group and receiver, the latest wins, and a kill loses none") {
  Fixture f;
  {
    const auto log = f.Open();
    REQUIRE(log->Log(Make("g", {1}), absl::ZeroDuration()).ok());
    f.clock.Advance(absl::Seconds(1));
    REQUIRE(log->Log(Make("g", {2, 3}), absl::ZeroDuration()).ok());
    REQUIRE(log->Log(Make("h", {}), absl::ZeroDuration()).ok());
    CHECK(log->size() == 2);
  }
  f.fs.ProcessCrash();
  const auto log = f.Open();
  CHECK(log->size() == 2);
  const auto entry = log->Query("g", {"r", "webhook", 1});
  REQUIRE(entry.has_value());
  CHECK(entry->firing_alerts == std::vector<uint64_t>{2, 3});
  CHECK(entry->resolved_alerts == std::vector<uint64_t>{7, 9});
  CHECK(entry->timestamp == f.clock.Now());
  CHECK_FALSE(log->Query("g", {"r", "webhook", 0}).has_value());
  CHECK_FALSE(log->Query("g", {"r", "email", 1}).has_value());
  CHECK_FALSE(log->Query("x", {"r", "webhook", 1}).has_value());
}

TEST_CASE("entries are forgotten after their expiry or the retention") {
  Fixture f;
  const auto log = f.Open();
  REQUIRE(log->Log(Make("short", {1}), absl::Minutes(10)).ok());
  REQUIRE(log->Log(Make("long", {1}), absl::Hours(10)).ok());
  f.clock.Advance(absl::Minutes(11));
  // Until the next maintenance an expired entry still answers.
  CHECK(log->Query("short", {"r", "webhook", 1}).has_value());
  REQUIRE(log->Maintain().ok());
  CHECK_FALSE(log->Query("short", {"r", "webhook", 1}).has_value());
  CHECK(log->Query("long", {"r", "webhook", 1}).has_value());
  f.clock.Advance(absl::Minutes(50));
  REQUIRE(log->Maintain().ok());
  CHECK(log->size() == 0);
  CHECK(*f.fs.FileSize("/d/nflog") == 0);
}

TEST_CASE("a clock that was set back does not undo what was told") {
  Fixture f;
  {
    const auto log = f.Open();
    REQUIRE(log->Log(Make("g", {1, 2}), absl::ZeroDuration()).ok());
  }
  FakeClock earlier(f.clock.Now() - absl::Hours(1));
  auto log = NotificationLog::Open({.path = "/d/nflog"}, &f.fs, &earlier, Logger(), &f.registry);
  REQUIRE((*log)->Log(Make("g", {3}), absl::ZeroDuration()).ok());
  CHECK((*log)->Query("g", {"r", "webhook", 1})->firing_alerts == std::vector<uint64_t>{1, 2});
}

TEST_CASE("a disk that fails is told, and memory goes on") {
  Fixture f;
  const auto log = f.Open();
  f.fs.FailFrom(f.fs.operations() + 1, absl::ResourceExhaustedError("disk full"));
  CHECK_FALSE(log->Log(Make("g", {1}), absl::ZeroDuration()).ok());
  CHECK(log->Query("g", {"r", "webhook", 1}).has_value());
  CHECK_FALSE(log->Maintain().ok());
}

TEST_CASE("records are upstream's bytes") {
  const Entry entry = {"{}:{}", {"r", "webhook", 0}, absl::FromUnixSeconds(1), {5}, {}};
  const std::string record = EncodeEntry(entry, absl::FromUnixSeconds(2));
  std::string hex;
  for (const char c : record) {
    hex.push_back("0123456789abcdef"[static_cast<unsigned char>(c) >> 4]);
    hex.push_back("0123456789abcdef"[static_cast<unsigned char>(c) & 15]);
  }
  CHECK(hex == "0a1c0a057b7d3a7b7d120c0a01721207776562686f6f6b2a02080132010512020802");
  absl::Time expires_at;
  const auto decoded = DecodeEntry(record, &expires_at);
  REQUIRE(decoded.has_value());
  CHECK(expires_at == absl::FromUnixSeconds(2));
  CHECK(decoded->group_key == entry.group_key);
  for (size_t size = 0; size < record.size(); ++size) {
    // Never a crash; a cut message may still be one with fewer fields.
    DecodeEntry(std::string_view(record).substr(0, size), &expires_at);
  }
}

}  // namespace
}  // namespace narthex::nflog
