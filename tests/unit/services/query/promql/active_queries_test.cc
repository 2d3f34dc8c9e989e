#include "services/query/promql/active_queries.h"

#include <string>

#include "catch2/catch.hpp"
#include "lib/io/file_system.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace narthex::promql {
namespace {

struct Fixture {
  std::string Content() { return *files->ReadFile(io::JoinPath(dir.path(), "queries.active")); }
  std::string Unfinished() { return ActiveQueries::ReadUnfinished(files, dir.path()); }
  std::unique_ptr<ActiveQueries> Open(int slots) {
    auto queries = ActiveQueries::Create(files, dir.path(), slots, &clock);
    REQUIRE(queries.ok());
    return *std::move(queries);
  }

  io::FileSystem* const files = io::PosixFileSystem();
  TempDir dir;
  FakeClock clock{absl::FromUnixSeconds(1700000000)};
};

TEST_CASE("Running queries are in the file as upstream writes them, finished ones are not") {
  Fixture f;
  CHECK(f.Unfinished().empty());
  const auto queries = f.Open(2);
  CHECK(f.Content().size() == 2001);
  CHECK(f.Unfinished().empty());
  const int first = queries->Insert("up{a=\"b\"}");
  const std::string entry = R"({"query":"up{a=\"b\"}","timestamp_sec":1700000000})";
  CHECK(f.Content().substr(0, 1 + entry.size()) == "[" + entry);
  CHECK(f.Content()[1000] == ',');
  const int second = queries->Insert("x");
  CHECK(f.Unfinished() == "[" + entry + R"(,{"query":"x","timestamp_sec":1700000000}])");
  // Nothing is written when no slot is free, and taking that away does no harm.
  const int third = queries->Insert("y");
  CHECK(f.Unfinished().find("\"y\"") == std::string::npos);
  queries->Remove(third);
  queries->Remove(first);
  CHECK(f.Unfinished() == R"([{"query":"x","timestamp_sec":1700000000}])");
  queries->Remove(second);
  CHECK(f.Unfinished().empty());
  CHECK(queries->Insert("z") >= 0);
}

TEST_CASE("A new file starts empty, whatever an ended process left in it") {
  Fixture f;
  f.Open(3)->Insert("killer");
  CHECK(f.Unfinished() == R"([{"query":"killer","timestamp_sec":1700000000}])");
  const auto queries = f.Open(1);
  CHECK(f.Unfinished().empty());
  CHECK(f.Content() == "[" + std::string(1000, '\0'));
}

TEST_CASE("Long queries are cut between characters so that their entry fits") {
  Fixture f;
  const auto queries = f.Open(1);
  for (const std::string& part : {std::string("a"), std::string("\""), std::string("<"),
                                  std::string("\xC3\xA4"), std::string("\xE2\x82\xAC")}) {
    INFO(part);
    std::string query;
    for (int i = 0; i < 2000; ++i) query += part;
    const int slot = queries->Insert(query);
    const std::string left = f.Unfinished();
    CHECK(left.size() > 980);
    CHECK(left.size() <= 1001);
    CHECK(left.find("\",\"timestamp_sec\":1700000000}]") != std::string::npos);
    CHECK(left.find("\\ufffd") == std::string::npos);
    queries->Remove(slot);
  }
}

}  // namespace
}  // namespace narthex::promql
