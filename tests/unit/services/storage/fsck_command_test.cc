// What --fsck does to a folder that a service has written.
#include "services/storage/fsck_command.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/unit/services/storage/app_fixture.h"

namespace narthex::storage_service {
namespace {

const Timestamp kStart = absl::ToUnixMillis(absl::Now()) - 1'000'000;

struct Run {
  absl::Status status;
  std::string text;
};

Run Fsck(const Options& options) {
  Run run;
  run.status = RunFsck(options, io::PosixFileSystem(), RealClock(),
                       [&](std::string_view line) { StrAppend(&run.text, line, "\n"); });
  return run;
}

void Fill(AppFixture* fixture) {
  for (int i = 0; i < 50; ++i) {
    tsdb::DbAppender appender(&fixture->app->db().head());
    appender.Append(Labels{{"__name__", "a"}, {"i", StrCat(i)}}, kStart + i, i);
    REQUIRE(appender.Commit().ok());
  }
}

// Flips a byte in the middle of the first segment of the log.
void Damage(const Options& options) {
  const std::string path = io::JoinPath(io::JoinPath(options.path, "wal"), "00000000");
  auto bytes = io::PosixFileSystem()->ReadFile(path);
  REQUIRE(bytes.ok());
  // The page is padded with zeros; the records are at its beginning.
  (*bytes)[600] = static_cast<char>((*bytes)[600] ^ 0x55);
  REQUIRE(io::PosixFileSystem()->WriteFileAtomically(path, *bytes).ok());
}

TEST_CASE("A sound folder is said to be sound and stays as it is") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture);
  fixture.app.reset();
  const Run run = Fsck(fixture.options);
  INFO(run.status.ToString() << "\n" << run.text);
  CHECK(run.status.ok());
  CHECK_FALSE(run.text.empty());
  fixture.Start();
  CHECK(fixture.Select({}).size() == 50);
}

TEST_CASE("Damage is named, and repaired unless it is a dry run") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture);
  fixture.app.reset();
  // The log alone is to be what there is.
  REQUIRE(
      io::PosixFileSystem()->RemoveAll(io::JoinPath(fixture.options.path, "head_snapshot")).ok());
  Damage(fixture.options);
  Options dry = fixture.options;
  dry.fsck_dry_run = true;
  const Run looked = Fsck(dry);
  INFO(looked.text);
  CHECK(absl::IsDataLoss(looked.status));
  CHECK(looked.text.find("00000000") != std::string::npos);
  const Run repaired = Fsck(fixture.options);
  INFO(repaired.status.ToString() << "\n" << repaired.text);
  CHECK(repaired.status.ok());
  CHECK(repaired.text.find("00000000") != std::string::npos);
  CHECK(repaired.text.find("quarantine") != std::string::npos);
  CHECK(Fsck(dry).status.ok());
  fixture.Start();
  CHECK(fixture.Select({}).size() < 50);
  CHECK_FALSE(fixture.Select({}).empty());
}

TEST_CASE("A folder in use, and one that is not there, are not checked") {
  AppFixture fixture;
  fixture.Start();
  CHECK(absl::IsFailedPrecondition(Fsck(fixture.options).status));
  Options options = fixture.options;
  options.path = fixture.dir.File("nothing");
  const Run run = Fsck(options);
  CHECK(absl::IsNotFound(run.status));
  CHECK_FALSE(io::PosixFileSystem()->Exists(options.path));
}

TEST_CASE("With --fsck the service checks, and asks for its end") {
  AppFixture fixture;
  fixture.Start();
  fixture.app.reset();
  fixture.options.fsck = true;
  metrics::Registry registry;
  service::Env env;
  env.clock = RealClock();
  env.file_system = io::PosixFileSystem();
  env.registry = &registry;
  int ends = 0;
  env.request_stop = [&] { ++ends; };
  auto app = App::Create(fixture.options, std::move(env));
  REQUIRE(app.ok());
  CHECK((*app)->Start().ok());
  CHECK(ends == 1);
  (*app)->Stop();
}

}  // namespace
}  // namespace narthex::storage_service
