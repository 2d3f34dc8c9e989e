#include <unistd.h>

#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/io/file_system.h"
#include "tests/support/temp_dir.h"

namespace narthex::io {
namespace {

TEST_CASE("What is appended is there at once, and truncation goes on at the cut") {
  TempDir dir;
  FileSystem* fs = PosixFileSystem();
  auto file = *fs->Create(dir.File("a"));
  CHECK(file->Append("hello world").ok());
  CHECK(*fs->ReadFile(dir.File("a")) == "hello world");
  CHECK(file->Truncate(5).ok());
  CHECK(file->Append("!").ok());
  CHECK(file->Sync().ok());
  CHECK(file->Close().ok());
  CHECK(*fs->ReadFile(dir.File("a")) == "hello!");
  auto again = *fs->OpenAppend(dir.File("a"));
  CHECK(again->Append("?").ok());
  std::string read;
  auto random = *fs->OpenRead(dir.File("a"));
  CHECK(random->Read(5, 100, &read).ok());
  CHECK(read == "!?");
  CHECK(*random->Size() == 7);
  CHECK((*fs->Map(dir.File("a")))->bytes() == "hello!?");
}

TEST_CASE("Pages of mapped files leave memory and come back as they were") {
  TempDir dir;
  FileSystem* fs = PosixFileSystem();
  const std::string content(size_t{8} << 20, 'x');
  auto file = *fs->Create(dir.File("m"));
  CHECK(file->Append(content).ok());
  CHECK(file->Close().ok());
  const auto resident_file_pages = [fs] {
    // Size, resident and shared, in pages; the shared ones are those of files.
    const std::string text = *fs->ReadFile("/proc/self/statm");
    const size_t second = text.find(' ', text.find(' ') + 1) + 1;
    uint64_t pages = 0;
    CHECK(ParseUint64(text.substr(second, text.find(' ', second) - second), &pages));
    return pages;
  };
  const auto mapped = *fs->Map(dir.File("m"));
  CHECK(mapped->bytes() == content);
  const uint64_t before = resident_file_pages();
  fs->ReleaseMappedPages();
  CHECK(resident_file_pages() + 1500 < before);
  CHECK(mapped->bytes() == content);
}

TEST_CASE("An empty file maps to nothing") {
  TempDir dir;
  CHECK((*PosixFileSystem()->Create(dir.File("e")))->Close().ok());
  CHECK((*PosixFileSystem()->Map(dir.File("e")))->bytes().empty());
}

TEST_CASE("Errors name the path and the cause") {
  TempDir dir;
  const auto missing = PosixFileSystem()->ReadFile(dir.File("none"));
  CHECK(missing.status().code() == absl::StatusCode::kNotFound);
  CHECK(Message(missing.status()) ==
        StrCat("open ", dir.File("none"), ": no such file or directory"));
  CHECK(!PosixFileSystem()->CreateDirectories("/proc/none/such").ok());
}

TEST_CASE("Atomic writing replaces the file and leaves nothing beside it") {
  TempDir dir;
  FileSystem* fs = PosixFileSystem();
  CHECK(fs->WriteFileAtomically(dir.File("f"), "one").ok());
  CHECK(fs->WriteFileAtomically(dir.File("f"), "two").ok());
  CHECK(*fs->ReadFile(dir.File("f")) == "two");
  CHECK(*fs->List(dir.path()) == std::vector<std::string>{"f"});
}

TEST_CASE("Directories are made, listed in order, matched and removed") {
  TempDir dir;
  FileSystem* fs = PosixFileSystem();
  CHECK(fs->CreateDirectories(dir.File("x/y/z")).ok());
  CHECK(fs->CreateDirectories(dir.File("x/y/z")).ok());
  CHECK(fs->WriteFileAtomically(dir.File("x/b.yml"), "").ok());
  CHECK(fs->WriteFileAtomically(dir.File("x/a.yml"), "").ok());
  CHECK(*fs->Glob(dir.File("x/*.yml")) ==
        std::vector<std::string>{dir.File("x/a.yml"), dir.File("x/b.yml")});
  CHECK(fs->Glob(dir.File("x/*.none"))->empty());
  CHECK(*fs->IsDirectory(dir.File("x/y")));
  CHECK(fs->RemoveAll(dir.File("x")).ok());
  CHECK(fs->RemoveAll(dir.File("x")).ok());
  CHECK(!fs->Exists(dir.File("x")));
  CHECK(fs->SyncDirectory(dir.path()).ok());
}

TEST_CASE("A hard link is another name of the same bytes, and a disk tells its space") {
  TempDir dir;
  FileSystem* const fs = PosixFileSystem();
  REQUIRE(fs->WriteFileAtomically(dir.File("a"), "one").ok());
  REQUIRE(fs->HardLink(dir.File("a"), dir.File("b")).ok());
  CHECK(absl::IsAlreadyExists(fs->HardLink(dir.File("a"), dir.File("b"))));
  REQUIRE(fs->Remove(dir.File("a")).ok());
  CHECK(*fs->ReadFile(dir.File("b")) == "one");
  CHECK(absl::IsNotFound(fs->HardLink(dir.File("a"), dir.File("c"))));
  const absl::StatusOr<DiskSpace> space = fs->SpaceOf(dir.path());
  REQUIRE(space.ok());
  CHECK(space->total_bytes >= space->free_bytes);
  CHECK(space->total_bytes > 0);
}

TEST_CASE("A directory is locked once") {
  TempDir dir;
  auto lock = PosixFileSystem()->LockDirectory(dir.path());
  REQUIRE(lock.ok());
  const auto second = PosixFileSystem()->LockDirectory(dir.path());
  CHECK(second.status().code() == absl::StatusCode::kFailedPrecondition);
  lock->reset();
  CHECK(PosixFileSystem()->LockDirectory(dir.path()).ok());
}

TEST_CASE("Paths are joined and taken apart") {
  CHECK(JoinPath("/a/", "b") == "/a/b");
  CHECK(JoinPath("", "b") == "b");
  CHECK(BaseName("/a/b") == "b");
  CHECK(DirName("/a/b") == "/a");
  CHECK(DirName("b") == ".");
  CHECK(DirName("/b") == "/");
}

}  // namespace
}  // namespace narthex::io
