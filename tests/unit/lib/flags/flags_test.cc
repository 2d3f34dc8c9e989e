#include "lib/flags/flags.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::flags {
namespace {

struct Values {
  std::string path = "data";
  std::vector<std::string> endpoints = {"default:1"};
  bool lifecycle = false;
  bool compress = true;
  int64_t workers = 4;
  double ratio = 0.5;
  absl::Duration retention = absl::Hours(24);
  uint64_t size = 0;
  std::string level = "info";

  absl::StatusOr<ParseResult> Parse(std::vector<const char*> args) {
    FlagSet flags("narthex-test", "1.2.3", "A test.");
    flags.String("storage.path", &path, "Where.");
    flags.Strings("storage.endpoint", &endpoints, "Whom.");
    flags.Bool("web.enable-lifecycle", &lifecycle, "Lifecycle.");
    flags.Bool("storage.compress", &compress, "Compress.");
    flags.Int("workers", &workers, "Workers.");
    flags.Double("ratio", &ratio, "Ratio.");
    flags.Duration("storage.retention.time", &retention, "How long.");
    flags.Bytes("storage.retention.size", &size, "How much.");
    flags.Enum("log.level", &level, {"debug", "info"}, "Level.");
    flags.Alias("storage.tsdb.path", "storage.path");
    flags.OwnedBy("query.timeout", "narthex-query");
    flags.Ignored("runtime.gogc", true, "there is no garbage collector here");
    args.insert(args.begin(), "narthex-test");
    const auto result = flags.Parse(static_cast<int>(args.size()), args.data());
    values = flags.Values();
    ignored = flags.ignored();
    return result;
  }
  std::map<std::string, std::string> values;
  std::vector<std::string> ignored;
};

TEST_CASE("Flags take their value with = or as the next word, one each") {
  Values v;
  REQUIRE(v.Parse({"--storage.path=/x", "--storage.endpoint", "a:1", "--storage.endpoint=b:2",
                   "--workers", "-3", "--ratio=1e-3", "--storage.retention.time=15d",
                   "--storage.retention.size=512MB", "--web.enable-lifecycle",
                   "--no-storage.compress", "--log.level=debug"})
              .ok());
  CHECK(v.path == "/x");
  CHECK(v.endpoints == std::vector<std::string>{"a:1", "b:2"});
  CHECK(v.workers == -3);
  CHECK(v.ratio == 1e-3);
  CHECK(v.retention == absl::Hours(24 * 15));
  CHECK(v.size == uint64_t{512} << 20);
  CHECK(v.lifecycle);
  CHECK(!v.compress);
  CHECK(v.level == "debug");
  CHECK(v.values["storage.retention.size"] == "512MiB");
  CHECK(v.values["storage.endpoint"] == "a:1,b:2");
}

TEST_CASE("An empty value is the empty text, and aliases reach their flag") {
  Values v;
  REQUIRE(v.Parse({"--storage.path="}).ok());
  CHECK(v.path.empty());
  REQUIRE(v.Parse({"--storage.tsdb.path", "/alias"}).ok());
  CHECK(v.path == "/alias");
}

TEST_CASE("Defaults stay where nothing is said, and meaningless flags are named") {
  Values v;
  REQUIRE(v.Parse({"--runtime.gogc", "75"}).ok());
  CHECK(v.endpoints == std::vector<std::string>{"default:1"});
  CHECK(v.ignored ==
        std::vector<std::string>{"--runtime.gogc: there is no garbage collector here"});
}

TEST_CASE("Every mistake is one line that names the flag") {
  const std::pair<std::vector<const char*>, const char*> rows[] = {
      {{"--nope"}, "unknown flag --nope; see narthex-test --help"},
      {{"--no-nope"}, "unknown flag --no-nope; see narthex-test --help"},
      {{"--no-storage.path"}, "unknown flag --no-storage.path; see narthex-test --help"},
      {{"word"}, "unexpected argument \"word\"; flags look like --name=value"},
      {{"-x"}, "unexpected argument \"-x\"; flags look like --name=value"},
      {{"--storage.path"}, "--storage.path: needs a value"},
      {{"--workers=many"}, "--workers: not a whole number: \"many\""},
      {{"--ratio=x"}, "--ratio: not a number: \"x\""},
      {{"--storage.retention.time=15"},
       "--storage.retention.time: not a valid duration string: \"15\""},
      {{"--storage.retention.size=5XB"},
       "--storage.retention.size: unknown unit \"XB\" in \"5XB\"; use KB, MB, GB, TB, PB or EB"},
      {{"--log.level=loud"}, "--log.level: must be one of debug, info; got \"loud\""},
      {{"--web.enable-lifecycle=maybe"},
       "--web.enable-lifecycle: expected true or false, got \"maybe\""},
      {{"--query.timeout=1m"}, "--query.timeout belongs to narthex-query; give it to that service"},
  };
  for (const auto& [args, text] : rows) {
    CAPTURE(text);
    Values v;
    const auto result = v.Parse(args);
    REQUIRE(!result.ok());
    CHECK(Message(result.status()) == text);
  }
  Values twice;
  const auto result = twice.Parse({"--workers=1", "--workers=2"});
  REQUIRE(!result.ok());
  CHECK(std::string(Message(result.status())).find("--workers") != std::string::npos);
}

}  // namespace
}  // namespace narthex::flags
