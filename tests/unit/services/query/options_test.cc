#include "services/query/options.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::query {
namespace {

absl::StatusOr<Options> Parse(std::vector<const char*> arguments) {
  Options options;
  flags::FlagSet flags("narthex-query", "test", "test");
  RegisterFlags(&flags, &options);
  arguments.insert(arguments.begin(), "narthex-query");
  const absl::StatusOr<flags::ParseResult> parsed =
      flags.Parse(static_cast<int>(arguments.size()), arguments.data());
  if (!parsed.ok()) return parsed.status();
  return options;
}

TEST_CASE("The flags of Prometheus that concern queries and rules are known") {
  const auto options =
      Parse({"--storage.endpoint=a:1", "--storage.endpoint", "b:2", "--query.timeout=30s",
             "--query.max-concurrency=4", "--rules.alert.for-grace-period=1m",
             "--no-alertmanager.drain-notification-queue-on-shutdown",
             "--enable-feature=promql-experimental-functions,x", "--enable-feature=y"});
  REQUIRE(options.ok());
  CHECK(options->storage_endpoints == std::vector<std::string>{"a:1", "b:2"});
  CHECK(options->query_timeout == absl::Seconds(30));
  CHECK(options->query_concurrency_max == 4);
  CHECK(options->rules_grace_period == absl::Minutes(1));
  CHECK_FALSE(options->notification_drain);
  CHECK(FeatureNames(*options) ==
        std::vector<std::string>{"promql-experimental-functions", "x", "y"});
  CHECK(Parse({"--web.page-title=x"}).ok());
}

TEST_CASE("A flag of another service is refused with its owner's name") {
  const absl::Status status = Parse({"--storage.tsdb.path=/x"}).status();
  CHECK_FALSE(status.ok());
  CHECK(Message(status).find("storage") != std::string_view::npos);
  CHECK_FALSE(Parse({"--no.such.flag"}).ok());
}

TEST_CASE("The external URL gives the prefix of all pages unless it is told") {
  struct Case {
    std::string external_url;
    std::string route_prefix;
    std::string url;
    std::string prefix;
  };
  for (const Case& c : std::vector<Case>{{"http://x:9090/", "", "http://x:9090", ""},
                                         {"https://x/a/b/", "", "https://x/a/b", "/a/b"},
                                         {"https://x/a/b", "/", "https://x/a/b", ""},
                                         {"https://x", "p/q/", "https://x", "/p/q"}}) {
    Options options;
    options.web_external_url = c.external_url;
    options.web_route_prefix = c.route_prefix;
    const absl::StatusOr<WebAddress> address = ComputeWebAddress(options, 9090);
    REQUIRE(address.ok());
    CHECK(address->external_url == c.url);
    CHECK(address->route_prefix == c.prefix);
  }
  const WebAddress address = ComputeWebAddress(Options(), 1234).value();
  CHECK(address.external_url.rfind("http://", 0) == 0);
  CHECK(address.external_url.substr(address.external_url.size() - 5) == ":1234");
  for (const std::string bad : {"x", "ftp://x", "http://"}) {
    Options options;
    options.web_external_url = bad;
    CHECK(absl::IsInvalidArgument(ComputeWebAddress(options, 1).status()));
  }
}

}  // namespace
}  // namespace narthex::query
