#include "services/pushgateway/text_parser.h"

#include <cmath>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::pushgateway {
namespace {

// The families in the text form of upstream's errors, one line a metric.
std::string Read(std::string_view body) {
  const auto families = ParsePushedText(body);
  if (!families.ok()) return std::string(Message(families.status()));
  std::string text;
  for (const auto& [name, family] : *families) {
    CHECK(name == family.name);
    for (const Metric& metric : family.metrics) {
      StrAppend(&text, name, family.help.empty() ? "" : StrCat("(", family.help, ")"), " ",
                DebugText(metric, family.type), "\n");
    }
  }
  return text;
}

TEST_CASE("Bodies become families") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"\n\n  \n", ""},
      {"a 1\n", "a untyped:<value:1 > \n"},
      {" \ta \t1\n", "a untyped:<value:1 > \n"},
      {"a{} 1\n", "a untyped:<value:1 > \n"},
      {"a{x=\"1\",y=\"2\",} 1\n",
       "a label:<name:\"x\" value:\"1\" > label:<name:\"y\" value:\"2\" > untyped:<value:1 > \n"},
      {"a{ x = \"\\\\\\\"\\n\" } 1\n",
       "a label:<name:\"x\" value:\"\\\\\\\"\\n\" > untyped:<value:1 > \n"},
      {"a 1 -17\n", "a untyped:<value:1 > timestamp_ms:-17 \n"},
      {"# HELP a some\\nhelp\n# TYPE a gauge\na 1\n", "a(some\nhelp) gauge:<value:1 > \n"},
      {"# TYPE a COUNTER\na +Inf\n", "a counter:<value:inf > \n"},
      {"a infinity\nb -INF\nc nan\n",
       "a untyped:<value:inf > \nb untyped:<value:-inf > \nc untyped:<value:nan > \n"},
      {"# a comment\n#\n# HELP\n# HELP a\n# TYPE a \na 1\n", "a untyped:<value:1 > \n"},
      {"# TYPE lonely gauge\n", ""},
      {"# TYPE a gauge\na{i=\"1\"} 1\nb 1\na{i=\"2\"} 2\n",
       "a label:<name:\"i\" value:\"1\" > gauge:<value:1 > \na label:<name:\"i\" value:\"2\" > "
       "gauge:<value:2 > \n"
       "b untyped:<value:1 > \n"},
      {"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns{quantile=\"0.9\"} 2\ns_count "
       "4\ns_bucket 5\n",
       "s summary:<sample_count:4 sample_sum:3 quantile:<quantile:0.5 value:1 > "
       "quantile:<quantile:0.9 value:2 > > \n"
       "s_bucket untyped:<value:5 > \n"},
      {"# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 2\nh_bucket{le=\"+Inf\",a=\"b\"} "
       "3\nh_sum{a=\"b\"} 4\nh_count{a=\"b\"} 3\n"
       "h_count{a=\"c\"} 1\n",
       "h label:<name:\"a\" value:\"b\" > histogram:<sample_count:3 sample_sum:4 "
       "bucket:<cumulative_count:2 "
       "upper_bound:1 > bucket:<cumulative_count:3 upper_bound:inf > > \n"
       "h label:<name:\"a\" value:\"c\" > histogram:<sample_count:1 > \n"},
      {"x_count 1\n# TYPE x summary\nx_sum 1\n",
       "x summary:<sample_sum:1 > \nx_count untyped:<value:1 > \n"},
      {"_count 1\n", "_count untyped:<value:1 > \n"},
  };
  for (const auto& test : cases) {
    INFO(Quote(test.first));
    CHECK(Read(test.first) == test.second);
  }
}

TEST_CASE("Errors have upstream's texts and the line") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a 1", "1: unexpected end of input stream"},
      {"a", "1: unexpected end of input stream"},
      {"# HELP a b", "1: unexpected end of input stream"},
      {"a 1\n\n#x\n9 1\n", "4: invalid metric name"},
      {"a\n", "1: expected float as value, got \"\""},
      {"a 0x1\n", "1: expected float as value, got \"0x1\""},
      {"a 1 2 3\n", "1: spurious string after timestamp: \" 3\""},
      {"a 1 x\n", "1: expected integer as timestamp, got \"x\""},
      {"a{b=\"c\"\n", "1: unexpected end of label value \"c\""},
      {"a{b\"c\"} 1\n", "1: expected '=' after label name, found '\"'"},
      {"a{b=c} 1\n", "1: expected '\"' at start of label value, found 'c'"},
      {"a{b=\"c\nd\"} 1\n", "1: label value \"c\" contains unescaped new-line"},
      {"a{b=\"\\t\"} 1\n", "1: invalid escape sequence '\\t'"},
      {"a{b=\"1\",b=\"2\"} 1\n", "1: duplicate label names for metric \"a\""},
      {"a{__name__=\"1\"} 1\n", "1: label name \"__name__\" is reserved"},
      {"a{b=\"\xc3\"} 1\n", "1: invalid label value \"\\xc3\""},
      {"# TYPE a gaugehistogram\n", "1: unknown metric type \"gaugehistogram\""},
      {"# TYPE a gauge\n# TYPE a gauge\n",
       "2: second TYPE line for metric name \"a\", or TYPE reported after samples"},
      {"# HELP a b\n# HELP a b\n", "2: second HELP line for metric name \"a\""},
      {"# HELP a-b c\n", "1: invalid metric name in comment"},
      {"# TYPE a summary\na{quantile=\"x\"} 1\n",
       "2: expected float as value for 'quantile' label, got \"x\""},
  };
  for (const auto& test : cases) {
    INFO(Quote(test.first));
    CHECK(Read(test.first) == StrCat("text format parsing error in line ", test.second));
  }
}

TEST_CASE("Every truncation of a body is an error or ends between lines") {
  const std::string body =
      "# HELP h help\n# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 2\nh_sum{a=\"b\"} 4 17\n";
  for (size_t size = 0; size < body.size(); ++size) {
    INFO(size);
    const bool between_lines = size == 0 || body[size - 1] == '\n';
    CHECK(ParsePushedText(std::string_view(body).substr(0, size)).ok() == between_lines);
  }
}

}  // namespace
}  // namespace narthex::pushgateway
