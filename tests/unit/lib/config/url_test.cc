#include "lib/config/url.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/config/byte_size.h"
#include "lib/config/secret.h"

namespace narthex::config {
namespace {

TEST_CASE("URLs are split as Go splits them") {
  struct {
    std::string_view text, scheme, user_info, host, path;
  } const cases[] = {
      {"http://u:p@host:80/path?q#f", "http", "u:p", "host:80", "/path?q#f"},
      {"HTTPS://host", "https", "", "host", ""},
      {"unix:///var/run/x.sock", "unix", "", "", "/var/run/x.sock"},
      {"localhost:9090", "localhost", "", "", "9090"},
      {"http://[::1]:90/x", "http", "", "[::1]:90", "/x"},
      {"/just/a/path", "", "", "", "/just/a/path"},
      {"", "", "", "", ""},
      {"//host/x", "", "", "host", "/x"},
  };
  for (const auto& test : cases) {
    INFO(test.text);
    const absl::StatusOr<Url> url = ParseUrl(test.text);
    REQUIRE(url.ok());
    CHECK(url->scheme == test.scheme);
    CHECK(url->user_info == test.user_info);
    CHECK(url->host == test.host);
    CHECK(url->path == test.path);
  }
}

TEST_CASE("Broken URLs are refused in Go's words") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"://x", "parse \"://x\": missing protocol scheme"},
      {"1.2.3.4:80", "parse \"1.2.3.4:80\": first path segment in URL cannot contain colon"},
      {"http://h:port/", "parse \"http://h:port/\": invalid port \":port\" after host"},
      {"http://h/%zz", "parse \"http://h/%zz\": invalid URL escape"},
      {"http://a b/", "parse \"http://a b/\": invalid character \" \" in host name"},
      {"http://h/\x01", "parse \"http://h/\\x01\": net/url: invalid control character in URL"},
  };
  for (const auto& [text, error] : cases) CHECK(Message(ParseUrl(text).status()) == error);
}

TEST_CASE("Passwords in URLs are hidden") {
  CHECK(RedactUrl("http://u:p@h/x?y") == "http://u:xxxxx@h/x?y");
  CHECK(RedactUrl("http://u@h/x") == "http://u@h/x");
  CHECK(RedactUrl("http://h") == "http://h");
  CHECK(RedactUrl("localhost:9090") == "localhost:9090");
}

TEST_CASE("Byte sizes are read with K as 1024 and printed with the largest units") {
  struct {
    std::string_view text;
    int64_t bytes;
    std::string_view printed;
  } const cases[] = {
      {"0", 0, "0B"},
      {"15MB", 15 << 20, "15MiB"},
      {"15MiB", 15 << 20, "15MiB"},
      {"1.5KB", 1536, "1KiB512B"},
      {"512B", 512, "512B"},
      {"1GiB1B", (1 << 30) + 1, "1GiB1B"},
      {"-1KB", -1024, "-1KiB"},
      {"2EB", int64_t{2} << 60, "2EiB"},
  };
  for (const auto& test : cases) {
    INFO(test.text);
    REQUIRE(ParseByteSize(test.text).ok());
    CHECK(*ParseByteSize(test.text) == test.bytes);
    CHECK(FormatByteSize(test.bytes) == test.printed);
  }
  for (const auto& [text, error] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"100", "units: unknown unit  in 100"},
           {"1ZB", "units: unknown unit ZB in 1ZB"},
           {"KB", "units: invalid KB"},
           {"", "units: invalid "},
           {"1.2.3KB", "units: invalid 1.2.3KB"},
           {"9EB", "units: overflow in 9EB"}}) {
    CHECK(Message(ParseByteSize(text).status()) == error);
  }
}

TEST_CASE("A secret shows itself only when asked to") {
  const Secret secret("hunter2");
  CHECK(secret.redacted() == "<secret>");
  CHECK(secret.reveal() == "hunter2");
  CHECK(Secret().redacted().empty());
}

}  // namespace
}  // namespace narthex::config
