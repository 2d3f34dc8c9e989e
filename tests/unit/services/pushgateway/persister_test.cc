#include "services/pushgateway/persister.h"

#include <memory>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/pushgateway/text_parser.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::pushgateway {
namespace {

constexpr char kPath[] = "/data/groups";

struct Fixture {
  Fixture() { REQUIRE(files.CreateDirectories("/data").ok()); }
  // A gateway's store and persister, restored; what a start of the process makes.
  struct Process {
    explicit Process(Fixture* fixture)
        : store({true, [] { return std::vector<metrics::CollectedFamily>(); }}, &fixture->clock),
          persister({kPath, absl::Minutes(5)}, &store, &fixture->files, &fixture->clock, Logger(),
                    &registry) {}
    void Push(std::string job) {
      REQUIRE(store.Push({{"job", std::move(job)}}, *ParsePushedText("a 1\n"), true).ok());
    }
    metrics::Registry registry;
    MetricStore store;
    Persister persister;
  };
  FakeClock clock;
  FaultFileSystem files;
};

// Runs until the persister waits again after its work.
void AdvanceAndSettle(Fixture* fixture, absl::Duration by) {
  REQUIRE(fixture->clock.WaitForWaiters(1));
  fixture->clock.Advance(by);
}

TEST_CASE("Groups survive a stop and a start") {
  Fixture fixture;
  {
    Fixture::Process process(&fixture);
    REQUIRE(process.persister.Restore().ok());
    process.persister.Start();
    process.Push("j");
    process.persister.Stop();
  }
  Fixture::Process process(&fixture);
  REQUIRE(process.persister.Restore().ok());
  CHECK(process.store.size().groups == 1);
  CHECK(process.store.Groups()[0].key == GroupingKey{{"job", "j"}});
}

TEST_CASE("Changes are on disk after the interval, and survive a power loss") {
  Fixture fixture;
  Fixture::Process process(&fixture);
  REQUIRE(process.persister.Restore().ok());
  process.persister.Start();
  process.Push("j");
  AdvanceAndSettle(&fixture, absl::Minutes(4));
  const uint64_t before = fixture.files.operations();
  AdvanceAndSettle(&fixture, absl::Minutes(1));
  StopSignal never;
  for (int i = 0; i < 5000 && fixture.files.operations() == before; ++i) {
    never.WaitFor(absl::Milliseconds(1));
  }
  CHECK(fixture.files.operations() > before);
  REQUIRE(fixture.clock.WaitForWaiters(1));
  fixture.files.PowerLoss();
  Fixture::Process second(&fixture);
  REQUIRE(second.persister.Restore().ok());
  CHECK(second.store.size().groups == 1);
}

TEST_CASE("A crash at any operation of a write leaves the old groups or the new ones") {
  int new_seen = 0;
  bool failed = true;
  for (uint64_t at = 1; failed; ++at) {
    REQUIRE(at < 1000);
    Fixture fixture;
    {
      Fixture::Process process(&fixture);
      REQUIRE(process.persister.Restore().ok());
      process.Push("old");
      process.persister.Start();
      process.persister.Stop();
    }
    {
      Fixture::Process process(&fixture);
      REQUIRE(process.persister.Restore().ok());
      process.Push("new");
      process.persister.Start();
      const uint64_t first = fixture.files.operations() + 1;
      fixture.files.FailFrom(first + at - 1, Internal("dead disk"), true);
      process.persister.Stop();
      failed = fixture.files.operations() >= first + at - 1;
      fixture.files.FailFrom(0, absl::OkStatus());
      fixture.files.PowerLoss();
    }
    Fixture::Process process(&fixture);
    INFO("failing operation " << at);
    REQUIRE(process.persister.Restore().ok());
    const size_t groups = process.store.size().groups;
    CHECK((groups == 1 || groups == 2));
    if (groups == 2) ++new_seen;
  }
  CHECK(new_seen >= 1);
}

TEST_CASE("A damaged file is one clear error and stays as it is") {
  Fixture fixture;
  {
    Fixture::Process process(&fixture);
    REQUIRE(process.persister.Restore().ok());
    process.Push("j");
    process.persister.Start();
    process.persister.Stop();
  }
  fixture.files.Corrupt(kPath, 20, 1);
  const std::string damaged = *fixture.files.ReadFile(kPath);
  {
    Fixture::Process process(&fixture);
    CHECK(Message(process.persister.Restore()) ==
          "--persistence.file /data/groups is damaged: checksum mismatch; move it away to start "
          "without it");
  }
  CHECK(*fixture.files.ReadFile(kPath) == damaged);
}

TEST_CASE("A file that cannot be written is an error at the start, and later a logged failure") {
  Fixture fixture;
  Fixture::Process process(&fixture);
  fixture.files.FailFrom(fixture.files.operations() + 1, Internal("no space"));
  const absl::Status status = process.persister.Restore();
  CHECK(Message(status).substr(0, 32) == "--persistence.file /data/groups:");
  fixture.files.FailFrom(0, absl::OkStatus());
  REQUIRE(process.persister.Restore().ok());
  process.persister.Start();
  process.Push("j");
  fixture.files.FailFrom(fixture.files.operations() + 1, Internal("no space"));
  process.persister.Stop();
  for (const auto& family : process.registry.Collect()) {
    if (family.name == "pushgateway_persist_failures_total") {
      CHECK(family.samples[0].value == 1);
    }
  }
}

}  // namespace
}  // namespace narthex::pushgateway
