#include "services/alertmanager/silence/silences.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/alertmanager/alerts/matchers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::silence {
namespace {

class Fixture {
 public:
  Fixture() { CHECK(fs.CreateDirectories("/d").ok()); }
  std::unique_ptr<Silences> Open(SilencesOptions options = {}) {
    options.path = "/d/silences";
    options.retention = absl::Hours(1);
    auto silences = Silences::Open(options, &fs, &clock, Logger(), &registry);
    REQUIRE(silences.ok());
    return *std::move(silences);
  }
  Silence Make(std::string_view matchers, double begin, double end) {
    Silence silence;
    silence.matchers = *alerts::ParseMatchers(matchers, alerts::MatcherMode::kFallback, nullptr);
    silence.starts_at = start + absl::Seconds(begin);
    silence.ends_at = start + absl::Seconds(end);
    silence.created_by = "me";
    silence.comment = "why";
    silence.annotations = {{"a", "b"}};
    return silence;
  }
  FaultFileSystem fs;
  FakeClock clock;
  const absl::Time start = clock.Now();
  metrics::Registry registry;
};

TEST_CASE("a silence is pending, active and expired by the clock alone") {
  Fixture f;
  const auto silences = f.Open();
  const std::string id = *silences->Set(f.Make("a=b", 10, 20));
  CHECK(id.size() == 36);
  const Labels labels = {{"a", "b"}, {"c", "d"}};
  const auto state = [&] {
    return std::string(StateText(silences->Get(id)->StateAt(f.clock.Now())));
  };
  CHECK(state() == "pending");
  CHECK(silences->SilencedBy(labels).empty());
  f.clock.Advance(absl::Seconds(10));
  CHECK(state() == "active");
  CHECK(silences->SilencedBy(labels) == std::vector<std::string>{id});
  CHECK(silences->SilencedBy({{"a", "x"}}).empty());
  f.clock.Advance(absl::Seconds(10));
  CHECK(state() == "expired");
  CHECK(silences->SilencedBy(labels).empty());
}

TEST_CASE("changes keep the id only where the past and the matchers stay") {
  Fixture f;
  const auto silences = f.Open();
  f.clock.Advance(absl::Seconds(5));
  Silence silence = f.Make("a=b", 0, 100);
  silence.id = *silences->Set(silence);
  // A start in the past is now.
  CHECK(silences->Get(silence.id)->starts_at == f.clock.Now());
  silence.starts_at = silences->Get(silence.id)->starts_at;

  silence.ends_at += absl::Seconds(50);
  CHECK(*silences->Set(silence) == silence.id);
  CHECK(silences->Get(silence.id)->ends_at == silence.ends_at);

  Silence other = silence;
  other.matchers = f.Make("a=c", 0, 1).matchers;
  const std::string replaced = *silences->Set(other);
  CHECK(replaced != silence.id);
  CHECK(silences->Get(silence.id)->StateAt(f.clock.Now()) == State::kExpired);
  CHECK(silences->SilencedBy({{"a", "c"}}) == std::vector<std::string>{replaced});

  // An expired one comes back under a new id.
  silence.ends_at = f.clock.Now() + absl::Hours(1);
  CHECK(*silences->Set(silence) != silence.id);

  Silence unknown = silence;
  unknown.id = "nope";
  CHECK(absl::IsNotFound(silences->Set(unknown).status()));
}

TEST_CASE("expiring ends an active silence now and a pending one before it began") {
  Fixture f;
  const auto silences = f.Open();
  const std::string active = *silences->Set(f.Make("a=b", 0, 100));
  const std::string pending = *silences->Set(f.Make("a=b", 50, 100));
  f.clock.Advance(absl::Seconds(1));
  REQUIRE(silences->Expire(active).ok());
  REQUIRE(silences->Expire(pending).ok());
  CHECK(silences->Get(active)->ends_at == f.clock.Now());
  CHECK(silences->Get(active)->starts_at == f.start);
  CHECK(silences->Get(pending)->starts_at == f.clock.Now());
  f.clock.Advance(absl::Seconds(1));
  REQUIRE(silences->Expire(active).ok());
  CHECK(silences->Get(active)->ends_at == f.clock.Now() - absl::Seconds(1));
  CHECK(absl::IsNotFound(silences->Expire("nope")));
}

TEST_CASE("silences that would silence everything or nothing are refused") {
  Fixture f;
  const auto silences = f.Open();
  const auto message = [&](const Silence& silence) {
    return std::string(Message(silences->Set(silence).status()));
  };
  CHECK(message(f.Make("", 0, 1)) == "invalid silence: at least one matcher required");
  CHECK(message(f.Make("a=\"\",b=~\".*\"", 0, 1)) ==
        "invalid silence: at least one matcher must not match the empty string");
  CHECK(message(f.Make("a=b", 5, 1)) == "invalid silence: end time must not be before start time");
}

TEST_CASE("bounds on number and size hold") {
  Fixture f;
  const auto silences = f.Open({.silences_max = 1, .silence_bytes_max = 200});
  CHECK(absl::IsResourceExhausted(
      silences->Set(f.Make("a=" + std::string(300, 'x'), 0, 1)).status()));
  REQUIRE(silences->Set(f.Make("a=b", 0, 1)).ok());
  CHECK(absl::IsResourceExhausted(silences->Set(f.Make("a=b", 0, 1)).status()));
}

TEST_CASE("what was answered survives a power loss, and old ones are forgotten") {
  Fixture f;
  REQUIRE(f.fs.SyncDirectory("/").ok());
  std::string id;
  {
    const auto silences = f.Open();
    id = *silences->Set(f.Make("a!~\"b|c\",d!=e,f=~g", 0, 10));
  }
  f.fs.PowerLoss();
  const auto silences = f.Open();
  const SilencePtr read = silences->Get(id);
  REQUIRE(read != nullptr);
  CHECK(alerts::MatchersText(read->matchers) == "{a!~\"b|c\",d!=\"e\",f=~\"g\"}");
  CHECK(read->created_by == "me");
  CHECK(read->comment == "why");
  CHECK(read->annotations == std::vector<std::pair<std::string, std::string>>{{"a", "b"}});
  f.clock.Advance(absl::Hours(1) + absl::Seconds(9));
  REQUIRE(silences->Maintain().ok());
  CHECK(silences->Get(id) != nullptr);
  f.clock.Advance(absl::Seconds(1));
  REQUIRE(silences->Maintain().ok());
  CHECK(silences->Get(id) == nullptr);
}

TEST_CASE("a silence that cannot be written is refused and silences nothing") {
  Fixture f;
  const auto silences = f.Open();
  f.fs.FailFrom(f.fs.operations() + 1, absl::ResourceExhaustedError("disk full"));
  CHECK_FALSE(silences->Set(f.Make("a=b", 0, 10)).ok());
  CHECK(silences->All().empty());
}

}  // namespace
}  // namespace narthex::silence
