#include "services/pushgateway/grouping_key.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::pushgateway {
namespace {

std::string Read(std::string_view path) {
  const auto key = ParseGroupingPath(path);
  if (!key.ok()) return std::string(Message(key.status()));
  std::string text;
  for (const auto& label : *key) StrAppend(&text, label.first, "=", Quote(label.second), ";");
  return text;
}

TEST_CASE("A push path names a group") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"job/j", "job=\"j\";"},
      {"job/j/", "job=\"j\";"},
      {"job/j/b/2/a/1", "a=\"1\";b=\"2\";job=\"j\";"},
      {"job/j/l/1/l/2", "job=\"j\";l=\"2\";"},
      {"job/j/job/other", "job=\"j\";"},
      {"job/j/x/", "job=\"j\";x=\"\";"},
      {"job@base64/Zm9v", "job=\"foo\";"},
      {"job@base64/Zm9vYg", "job=\"foob\";"},
      {"job@base64/Zm9vYg==", "job=\"foob\";"},
      {"job/j/path@base64/L3Zhci90bXA=", "job=\"j\";path=\"/var/tmp\";"},
      {"job/j/x@base64/=", "job=\"j\";x=\"\";"},
      {"job/j/x@base64/", "job=\"j\";x=\"\";"},
      {"job/j/x@base64/_-8", "job=\"j\";x=\"\\xff\\xef\";"},
      // Errors.
      {"job/j/x", "odd number of components in label string \"/x\""},
      {"job/j/x/y/", "odd number of components in label string \"/x/y/\""},
      {"job/j/__x/y", "improper label name \"__x\""},
      {"job/j/9/y", "improper label name \"9\""},
      {"job/j//y", "improper label name \"\""},
      {"job/j/@base64/eQ", "improper label name \"\""},
      {"job@base64/=", "job name is required"},
      {"job@base64/Zm9v!",
       "invalid base64 encoding in job name \"foo\": illegal base64 data at input byte 4"},
      {"job@base64/Z",
       "invalid base64 encoding in job name \"\": illegal base64 data at input byte 0"},
      {"job/j/x@base64/a+b",
       "invalid base64 encoding for label x=\"a+b\": illegal base64 data at input byte 1"},
      {"job/", "404 page not found"},
      {"job", "404 page not found"},
      {"", "404 page not found"},
      {"jobs/j", "404 page not found"},
  };
  for (const auto& test : cases) {
    INFO(test.first);
    CHECK(Read(test.first) == test.second);
  }
}

TEST_CASE("A grouping key that came as labels must name a job and be proper") {
  CHECK(ValidateGroupingKey({{"job", "j"}, {"instance", ""}}).ok());
  CHECK(Message(ValidateGroupingKey({{"instance", "i"}})) == "job name is required");
  CHECK(Message(ValidateGroupingKey({{"job", ""}})) == "job name is required");
  CHECK(Message(ValidateGroupingKey({{"job", "j"}, {"a-b", "c"}})) ==
        "improper label name \"a-b\"");
}

}  // namespace
}  // namespace narthex::pushgateway
