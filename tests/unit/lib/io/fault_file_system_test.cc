#include "tests/support/fault_file_system.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex {
namespace {

TEST_CASE("A power loss keeps what was synced, in names that were synced") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d").ok());
  auto file = *fs.Create("/d/a");
  REQUIRE(file->Append("one").ok());
  REQUIRE(file->Sync().ok());
  REQUIRE(fs.SyncDirectory("/d").ok());
  REQUIRE(file->Append("two").ok());
  REQUIRE((*fs.Create("/d/unsynced"))->Sync().ok());
  CHECK(*fs.ReadFile("/d/a") == "onetwo");
  fs.PowerLoss();
  CHECK(*fs.ReadFile("/d/a") == "one");
  CHECK(!fs.Exists("/d/unsynced"));
  CHECK(!file->Append("three").ok());
}

TEST_CASE("A process crash keeps every byte and ends the handles") {
  FaultFileSystem fs;
  auto file = *fs.Create("/a");
  REQUIRE(file->Append("x").ok());
  auto lock = *fs.LockDirectory("/");
  fs.ProcessCrash();
  CHECK(*fs.ReadFile("/a") == "x");
  CHECK(!file->Append("y").ok());
  CHECK(fs.LockDirectory("/").ok());
}

TEST_CASE("The chosen operation fails, with half of its bytes if wanted") {
  FaultFileSystem fs;
  auto file = *fs.Create("/a");
  fs.FailOnce(fs.operations() + 1, ResourceExhausted("write /a: no space left on device"), true);
  CHECK(file->Append("1234").code() == absl::StatusCode::kResourceExhausted);
  CHECK(*fs.ReadFile("/a") == "12");
  CHECK(file->Append("5").ok());
  fs.FailFrom(fs.operations() + 2, Internal("dead"));
  CHECK(file->Append("6").ok());
  CHECK(!file->Append("7").ok());
  CHECK(!file->Sync().ok());
}

TEST_CASE(
    "Atomic writing leaves the old or the new content whichever operation a power loss follows") {
  for (uint64_t operation = 1; operation <= 6; ++operation) {
    FaultFileSystem fs;
    REQUIRE(fs.WriteFileAtomically("/f", "old").ok());
    fs.FailFrom(fs.operations() + operation, Internal("power"));
    const bool ok = fs.WriteFileAtomically("/f", "new").ok();
    fs.FailFrom(0, absl::OkStatus());
    fs.PowerLoss();
    const std::string content = *fs.ReadFile("/f");
    CAPTURE(operation, content);
    CHECK((content == "old" || content == "new"));
    if (ok) CHECK(content == "new");
  }
}

TEST_CASE("Folders are renamed with what they hold, listed and matched") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d/e").ok());
  REQUIRE(fs.Create("/d/e/f.yml").ok());
  REQUIRE(fs.Rename("/d", "/g").ok());
  CHECK(*fs.List("/g/e") == std::vector<std::string>{"f.yml"});
  CHECK(*fs.Glob("/g/e/*.yml") == std::vector<std::string>{"/g/e/f.yml"});
  CHECK(fs.RemoveAll("/g").ok());
  CHECK(!fs.Exists("/g/e/f.yml"));
}

TEST_CASE("A renamed folder keeps its synced files through a power loss") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d/x.tmp").ok());
  auto file = *fs.Create("/d/x.tmp/a");
  REQUIRE(file->Append("one").ok());
  REQUIRE(file->Sync().ok());
  REQUIRE(fs.SyncDirectory("/d/x.tmp").ok());
  REQUIRE(fs.Rename("/d/x.tmp", "/d/x").ok());
  SECTION("under its old name when the rename was not synced") {
    fs.PowerLoss();
    CHECK(*fs.ReadFile("/d/x.tmp/a") == "one");
    CHECK(!fs.Exists("/d/x"));
  }
  SECTION("under its new name when it was") {
    REQUIRE(fs.SyncDirectory("/d").ok());
    fs.PowerLoss();
    CHECK(*fs.ReadFile("/d/x/a") == "one");
    CHECK(!fs.Exists("/d/x.tmp"));
    CHECK(!fs.Exists("/d/x.tmp/a"));
  }
}

TEST_CASE("Removing a folder can be broken off between its files") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/d/x").ok());
  REQUIRE(fs.Create("/d/x/a").ok());
  REQUIRE(fs.Create("/d/x/b").ok());
  fs.FailFrom(fs.operations() + 2, Internal("gone"));
  CHECK(!fs.RemoveAll("/d/x").ok());
  CHECK(fs.Exists("/d/x/a") != fs.Exists("/d/x/b"));
  CHECK(fs.Exists("/d/x"));
}

TEST_CASE("A hard link is another name of the same bytes, and the disk has the space it is given") {
  FaultFileSystem fs;
  auto file = *fs.Create("/a");
  REQUIRE(fs.HardLink("/a", "/b").ok());
  REQUIRE(file->Append("one").ok());
  CHECK(*fs.ReadFile("/b") == "one");
  REQUIRE(fs.Remove("/a").ok());
  CHECK(*fs.ReadFile("/b") == "one");
  CHECK(absl::IsNotFound(fs.HardLink("/a", "/c")));
  REQUIRE(fs.Create("/c").ok());
  CHECK(absl::IsAlreadyExists(fs.HardLink("/b", "/c")));
  fs.SetDiskSpace({100, 7});
  CHECK(fs.SpaceOf("/")->free_bytes == 7);
  CHECK(fs.SpaceOf("/")->total_bytes == 100);
}

}  // namespace
}  // namespace narthex
