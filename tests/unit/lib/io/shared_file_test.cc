#include "lib/io/shared_file.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "catch2/catch.hpp"
#include "lib/io/file_system.h"
#include "tests/support/temp_dir.h"

namespace narthex::io {
namespace {

TEST_CASE("What is stored in a shared file is in the file, without a call") {
  const TempDir dir;
  const std::string path = JoinPath(dir.path(), "notes");
  const auto file = SharedFile::Create(path, 10);
  REQUIRE(file.ok());
  CHECK(*PosixFileSystem()->ReadFile(path) == std::string(10, '\0'));
  const std::string_view text = "hello";
  std::copy(text.begin(), text.end(), (*file)->bytes().begin());
  CHECK(*PosixFileSystem()->ReadFile(path) == "hello" + std::string(5, '\0'));
}

TEST_CASE("A shared file takes the place of another one, which stays whole for who has it") {
  const TempDir dir;
  const std::string path = JoinPath(dir.path(), "notes");
  const auto first = SharedFile::Create(path, 8192);
  REQUIRE(first.ok());
  (*first)->bytes()[8000] = 'a';
  const auto second = SharedFile::Create(path, 5);
  REQUIRE(second.ok());
  CHECK(*PosixFileSystem()->ReadFile(path) == std::string(5, '\0'));
  CHECK((*first)->bytes()[8000] == 'a');
  (*first)->bytes()[8001] = 'b';
}

TEST_CASE("A shared file that cannot be made is an error that names it") {
  const TempDir dir;
  const std::string path = JoinPath(dir.path(), "no/such");
  const auto file = SharedFile::Create(path, 5);
  REQUIRE_FALSE(file.ok());
  CHECK(std::string(file.status().message()).find(path) != std::string::npos);
}

}  // namespace
}  // namespace narthex::io
