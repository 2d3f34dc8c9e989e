#include "lib/discovery/http_client.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/support/temp_dir.h"

namespace narthex::discovery {
namespace {

using config::Secret;

TEST_CASE("An HTTP client block becomes the client's settings") {
  TempDir dir;
  io::FileSystem* const fs = io::PosixFileSystem();
  REQUIRE(fs->WriteFileAtomically(dir.File("user"), "alice\n").ok());
  REQUIRE(fs->WriteFileAtomically(dir.File("header"), "from file\n").ok());
  config::HttpClientConfig config;
  config.basic_auth =
      config::BasicAuth{.username_file = dir.File("user"), .password = Secret("secret")};
  config.tls_config.ca_file = "/ca.pem";
  config.tls_config.key = Secret("key");
  config.tls_config.insecure_skip_verify = true;
  config.tls_config.min_version = "TLS12";
  config.proxy.proxy_url = "http://proxy:1";
  config.proxy.no_proxy = "localhost";
  config.follow_redirects = false;
  config.http_headers["X-A"] = {
      .values = {"1", "2"}, .secrets = {Secret("3")}, .files = {dir.File("header")}};
  const absl::StatusOr<http::ClientConfig> client = MakeClientConfig(config, fs);
  REQUIRE(client.ok());
  CHECK(client->basic_auth_username == "alice");
  CHECK(client->basic_auth_password == "secret");
  CHECK(client->tls_ca_file == "/ca.pem");
  CHECK(client->tls_key == "key");
  CHECK(client->tls_insecure_skip_verify);
  CHECK(client->tls_min_version == "TLS12");
  CHECK(client->proxy_url == "http://proxy:1");
  CHECK(client->no_proxy == "localhost");
  CHECK_FALSE(client->follow_redirects);
  CHECK(client->headers.fields().size() == 4);
  CHECK(client->headers.fields()[3].second == "from file");
}

TEST_CASE("A token of any kind becomes an authorization") {
  config::HttpClientConfig config;
  config.authorization = config::Authorization{.type = "Token", .credentials_file = "/token"};
  const absl::StatusOr<http::ClientConfig> client = MakeClientConfig(config, io::PosixFileSystem());
  REQUIRE(client.ok());
  CHECK(client->authorization_type == "Token");
  CHECK(client->authorization_credentials_file == "/token");
}

TEST_CASE("What the client cannot do is an error, not left out") {
  config::HttpClientConfig oauth2;
  oauth2.oauth2 = config::OAuth2{.client_id = "x"};
  config::HttpClientConfig reference;
  reference.basic_auth = config::BasicAuth{.password_ref = "x"};
  config::HttpClientConfig proxy;
  proxy.proxy.proxy_connect_header["a"] = {Secret("b")};
  for (const config::HttpClientConfig& config : {oauth2, reference, proxy}) {
    CHECK(absl::IsUnimplemented(MakeClientConfig(config, io::PosixFileSystem()).status()));
  }
  config::HttpClientConfig missing;
  missing.basic_auth = config::BasicAuth{.username_file = "/does/not/exist"};
  CHECK(absl::IsNotFound(MakeClientConfig(missing, io::PosixFileSystem()).status()));
}

}  // namespace
}  // namespace narthex::discovery
