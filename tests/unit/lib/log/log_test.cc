#include "lib/log/log.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "tests/support/fake_clock.h"

namespace narthex {
namespace {

TEST_CASE("Lines are logfmt with the fields of the handle before those of the call") {
  std::vector<std::string> lines;
  const Logger logger = Logger::ToLines(&lines).With({{"component", "web"}});
  logger.Info("server is ready",
              {{"port", 9090}, {"empty", ""}, {"err", InvalidArgument("a=\"b\"\n")}});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] ==
        R"(level=INFO msg="server is ready" component=web port=9090 empty="" err="a=\"b\"\n")");
}

TEST_CASE("JSON lines reach standard error with a time, and levels filter") {
  FakeClock clock;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const int saved = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  const Logger logger = Logger::ToStderr(LogLevel::kWarn, LogFormat::kJson, &clock);
  logger.Info("not written");
  logger.Error("bad \x01\xff \"x\"", {{"n", 1}});
  dup2(saved, STDERR_FILENO);
  close(ends[1]);
  char buffer[1000];
  const ssize_t size = read(ends[0], buffer, sizeof buffer);
  close(ends[0]);
  close(saved);
  CHECK(std::string(buffer, static_cast<size_t>(size)) ==
        "{\"time\":\"2023-11-14T22:13:20.000Z\",\"level\":\"ERROR\",\"msg\":\"bad \\u0001\\ufffd "
        "\\\"x\\\"\",\"n\":\"1\"}\n");
}

TEST_CASE("Levels and formats parse") {
  CHECK(*ParseLogLevel("warn") == LogLevel::kWarn);
  CHECK(!ParseLogLevel("loud").ok());
  CHECK(*ParseLogFormat("json") == LogFormat::kJson);
  CHECK(!ParseLogFormat("xml").ok());
}

}  // namespace
}  // namespace narthex
