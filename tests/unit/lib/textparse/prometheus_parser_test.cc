#include "lib/textparse/prometheus_parser.h"

#include <bit>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "tests/unit/lib/textparse/exposition_cases.h"

namespace narthex::textparse {
namespace {

enum class Path { kFast, kLexer };

// All entries as text; see ExpositionCase.
std::string Describe(std::string_view body, Path path) {
  // In memory of its own, so that a sanitizer sees any byte read behind it.
  const std::vector<char> bytes(body.begin(), body.end());
  PrometheusParser parser({bytes.data(), bytes.size()});
  if (path == Path::kLexer) parser.DisableFastPath();
  std::string out;
  while (parser.Next()) {
    const Entry& entry = parser.entry();
    switch (entry.kind) {
      case EntryKind::kHelp:
        StrAppend(&out, "HELP ", entry.name, "|", entry.text, "|\n");
        break;
      case EntryKind::kType:
        StrAppend(&out, "TYPE ", entry.name, "|", MetricTypeName(entry.type), "\n");
        break;
      case EntryKind::kUnit:
        StrAppend(&out, "UNIT ", entry.name, "|", entry.text, "\n");
        break;
      case EntryKind::kSeries: {
        StrAppend(&out, entry.name, " = ", FormatFloatG(entry.value));
        if (entry.has_timestamp) StrAppend(&out, " @ ", entry.timestamp);
        const absl::StatusOr<Labels> labels = parser.ReadLabels(entry);
        StrAppend(&out, "\n  ", labels.ok() ? labels->ToString() : Message(labels.status()), "\n");
        break;
      }
    }
  }
  if (!parser.status().ok()) {
    CHECK(parser.status().code() == absl::StatusCode::kInvalidArgument);
    StrAppend(&out, "error: ", Message(parser.status()), "\n");
  }
  CHECK_FALSE(parser.Next());
  return out;
}

constexpr std::string_view kPayload =
    "# HELP http_requests_total Requests, by \\\\ code\\nand method.\n"
    "# TYPE http_requests_total counter\n"
    "http_requests_total{code=\"200\",method=\"get\"} 1027 1395066363000\n"
    "http_requests_total{code=\"400\",method=\"p\\\"o\\\\st\",} 3\n"
    "\n"
    "# a comment\n"
    "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find "
    "file:\\n\\\"FILE.TXT\\\"\"} 1.458255915e9\n"
    "metric_without_timestamp_and_labels 12.47\n"
    "something_weird{problem=\"division by zero\"} +Inf -3982045\n";

TEST_CASE("odd expositions are read as upstream reads them, on both paths") {
  for (const ExpositionCase& c : kExpositionCases) {
    INFO(Quote(c.body));
    CHECK(Describe(c.body, Path::kFast) == c.entries);
    CHECK(Describe(c.body, Path::kLexer) == c.entries);
  }
}

TEST_CASE("an ordinary exposition is read entry by entry") {
  CHECK(Describe(kPayload, Path::kFast) ==
        "HELP http_requests_total|Requests, by \\ code\nand method.|\n"
        "TYPE http_requests_total|counter\n"
        "http_requests_total{code=\"200\",method=\"get\"} = 1027 @ 1395066363000\n"
        "  {__name__=\"http_requests_total\", code=\"200\", method=\"get\"}\n"
        "http_requests_total{code=\"400\",method=\"p\\\"o\\\\st\",} = 3\n"
        "  {__name__=\"http_requests_total\", code=\"400\", method=\"p\\\"o\\\\st\"}\n"
        "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find "
        "file:\\n\\\"FILE.TXT\\\"\"} = 1.458255915e+09\n"
        "  {__name__=\"msdos_file_access_time_seconds\", error=\"Cannot find "
        "file:\\n\\\"FILE.TXT\\\"\", path=\"C:\\\\DIR\\\\FILE.TXT\"}\n"
        "metric_without_timestamp_and_labels = 12.47\n"
        "  {__name__=\"metric_without_timestamp_and_labels\"}\n"
        "error: expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: "
        "\"something_weird{problem=\\\"division by zero\\\"} +Inf -\"\n");
}

TEST_CASE("both paths agree on every truncation and every changed byte") {
  const std::string payload(kPayload);
  for (size_t size = 0; size <= payload.size(); ++size) {
    const std::string_view cut = std::string_view(payload).substr(0, size);
    INFO(size);
    REQUIRE(Describe(cut, Path::kFast) == Describe(cut, Path::kLexer));
  }
  for (const char c : {' ', '\n', '"', '\\', '{', '}', '0', 'e', '\0', '\xff', '\xc3', '#'}) {
    for (size_t i = 0; i < payload.size(); ++i) {
      std::string changed = payload;
      changed[i] = c;
      INFO(Quote(changed));
      REQUIRE(Describe(changed, Path::kFast) == Describe(changed, Path::kLexer));
    }
  }
}

TEST_CASE("names and values of every length are read whole") {
  // They cross the blocks of sixteen bytes that are searched at once at every place.
  for (size_t length = 1; length < 70; ++length) {
    const std::string name(length, 'n');
    const std::string value = std::string(length - 1, 'v') + "\xc3\xa9";
    const std::string body = StrCat(name, "{", name, "=\"", value, "\"} 1");
    CHECK(Describe(body, Path::kFast) == StrCat(name, "{", name, "=\"", value,
                                                "\"} = 1\n  {__name__=\"", name, "\", ", name,
                                                "=\"", value, "\"}\n"));
  }
}

TEST_CASE("an exposition of more entries than a block has is read to its end") {
  for (const int count : {63, 64, 65, 128, 1000}) {
    std::string body;
    for (int i = 0; i < count; ++i) StrAppend(&body, "metric{i=\"", i, "\"} ", i, "\n");
    PrometheusParser parser(body);
    int next = 0;
    while (parser.Next()) {
      CHECK(parser.entry().value == next);
      ++next;
    }
    CHECK(next == count);
    CHECK(parser.status().ok());
  }
}

TEST_CASE("the entries before an error come first") {
  std::string body;
  for (int i = 0; i < 64; ++i) StrAppend(&body, "metric ", i, "\n");
  PrometheusParser parser(body += "broken\n");
  int count = 0;
  while (parser.Next()) ++count;
  CHECK(count == 64);
  CHECK(Message(parser.status()) ==
        "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"broken\\n\"");
}

TEST_CASE("views of entries outlive the next entry") {
  const std::string body = "# HELP a x\\\\y\n# HELP b x\\\\z\na{l=\"\\n\"} 1\n";
  PrometheusParser parser(body);
  std::vector<Entry> entries;
  while (parser.Next()) entries.push_back(parser.entry());
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].text == "x\\y");
  CHECK(entries[1].text == "x\\z");
  CHECK(entries[2].name.data() == body.data() + body.find("a{l"));
  CHECK(parser.ReadLabels(entries[2])->Get("l") == "\n");
}

TEST_CASE("a series has the type that was stated last") {
  const std::string body = "a 1\n# TYPE b summary\nb 1\nc 1\n# TYPE d untyped\nd 1\n";
  PrometheusParser parser(body);
  std::string types;
  while (parser.Next()) {
    if (parser.entry().kind == EntryKind::kSeries) {
      StrAppend(&types, parser.entry().name, "=", MetricTypeName(parser.entry().type), " ");
    }
  }
  CHECK(types == "a=unknown b=summary c=summary d=unknown ");
}

TEST_CASE("a NaN is never a staleness marker") {
  for (const std::string body : {"a NaN\n", "a nan 5\n"}) {
    PrometheusParser parser(body);
    REQUIRE(parser.Next());
    CHECK(std::bit_cast<uint64_t>(parser.entry().value) == kNormalNanBits);
  }
}

TEST_CASE("a parser is made for the formats that there are parsers for") {
  auto parser = NewParser(Format::kPrometheusText, "a 1\n");
  REQUIRE(parser.ok());
  CHECK((*parser)->Next());
  CHECK(NewParser(Format::kProtobuf, "").status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace narthex::textparse
