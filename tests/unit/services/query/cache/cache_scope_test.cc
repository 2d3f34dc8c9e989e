#include "services/query/cache/cache_scope.h"

#include <string>

#include "catch2/catch.hpp"
#include "services/query/promql/parser.h"

namespace narthex::query_cache {
namespace {

std::optional<CacheScope> Scope(const std::string& query) {
  promql::ParserOptions options;
  options.experimental_functions = true;
  options.extended_range_selectors = true;
  const auto expr = promql::ParseExpr(query, options);
  INFO(query << ": " << expr.status().ToString());
  REQUIRE(expr.ok());
  return ScopeOf(**expr, 300'000);
}

TEST_CASE("The scope tells how new the samples are that a value depends on") {
  struct Case {
    std::string query;
    int64_t ahead_ms;
    Timestamp fixed_until;
  };
  const std::vector<Case> cases = {
      {"m", 0, kMinTimestamp},
      {"1", 0, kMinTimestamp},
      {"time()", 0, kMinTimestamp},
      {"m offset 5m", 0, kMinTimestamp},
      {"m offset -5m", 300'000, kMinTimestamp},
      {"rate(m[5m] offset -1m) + m offset -2m", 120'000, kMinTimestamp},
      {"max_over_time((m offset -1m)[10m:1m] offset -2m)", 180'000, kMinTimestamp},
      {"max_over_time((m offset -3m)[10m:1m] offset 2m)", 60'000, kMinTimestamp},
      {"m @ 100", 0, 100'000},
      {"m @ 100 offset -5s", 0, 105'000},
      {"m offset -1s @ 100 + m @ 30", 0, 101'000},
      {"max_over_time((m offset -1s)[1m:1s] @ 50)", 0, 51'000},
      {"max_over_time((m @ 70)[1m:1s] @ 50 offset 3s)", 0, 70'000},
      {"rate(m[5m] smoothed)", 300'000, kMinTimestamp},
      {"rate(m[5m] smoothed @ 10)", 0, 310'000},
      {"rate(m[5m] anchored)", 0, kMinTimestamp},
  };
  for (const Case& test : cases) {
    INFO(test.query);
    const auto scope = Scope(test.query);
    REQUIRE(scope.has_value());
    CHECK(scope->ahead_ms == test.ahead_ms);
    CHECK(scope->fixed_until == test.fixed_until);
  }
}

TEST_CASE("A value that depends on the bounds of the query has no scope") {
  for (const char* query :
       {"m @ start()", "m @ end()", "sum(rate(m[5m] @ end()))", "max_over_time(m[5m:1m] @ start())",
        "m offset (step() * 2)", "rate(m[range()])", "start()", "vector(step())"}) {
    INFO(query);
    CHECK(!Scope(query).has_value());
  }
}

TEST_CASE("Steps hold up to the oldest change, less what they look ahead") {
  CHECK(CacheScope{0, kMinTimestamp}.LastHolding(1000) == 999);
  CHECK(CacheScope{300, kMinTimestamp}.LastHolding(1000) == 699);
  CHECK(CacheScope{0, 999}.LastHolding(1000) == 999);
  CHECK(CacheScope{0, 1000}.LastHolding(1000) == kMinTimestamp);
  CHECK(CacheScope{300, 5000}.LastHolding(kMaxTimestamp) == kMaxTimestamp);
  CHECK(CacheScope{300, kMinTimestamp}.LastHolding(kMinTimestamp) == kMinTimestamp);
  CHECK(CacheScope{300, kMinTimestamp}.LastHolding(kMinTimestamp + 200) == kMinTimestamp);
}

}  // namespace
}  // namespace narthex::query_cache
