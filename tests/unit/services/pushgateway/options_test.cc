#include "services/pushgateway/options.h"

#include <vector>

#include "catch2/catch.hpp"

namespace narthex::pushgateway {
namespace {

TEST_CASE("The route prefix is that of the flag, or the path of the external URL") {
  struct Case {
    std::string prefix, url, want;
  };
  const std::vector<Case> cases = {
      {"", "", ""},
      {"/", "", ""},
      {"/", "http://host/path", ""},
      {"", "http://host", ""},
      {"", "http://host/", ""},
      {"", "http://host/a/b/", "/a/b"},
      {"", "/a", "/a"},
      {"p", "http://host/a", "/p"},
      {"/p/q/", "", "/p/q"},
  };
  for (const Case& test : cases) {
    INFO(test.prefix << " " << test.url);
    Options options;
    options.route_prefix = test.prefix;
    options.external_url = test.url;
    CHECK(RoutePrefix(options) == test.want);
  }
}

TEST_CASE("The flags are upstream's") {
  Options options;
  flags::FlagSet flags("narthex-pushgateway", "v", "d");
  RegisterFlags(&flags, &options);
  const char* const argv[] = {
      "narthex-pushgateway",    "--web.listen-address=:1",      "--grpc.listen-address=:2",
      "--persistence.file=/f",  "--persistence.interval=1m30s", "--push.disable-consistency-check",
      "--web.enable-admin-api", "--web.enable-lifecycle",       "--web.telemetry-path=/m"};
  REQUIRE(flags.Parse(9, argv).ok());
  CHECK(options.web_listen_address == ":1");
  CHECK(options.grpc_listen_address == ":2");
  CHECK(options.persistence_file == "/f");
  CHECK(options.persistence_interval == absl::Seconds(90));
  CHECK(options.disable_consistency_check);
  CHECK(options.enable_admin_api);
  CHECK(options.enable_lifecycle);
  CHECK(options.telemetry_path == "/m");
}

}  // namespace
}  // namespace narthex::pushgateway
