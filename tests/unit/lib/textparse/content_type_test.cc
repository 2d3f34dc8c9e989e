#include "lib/textparse/content_type.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::textparse {
namespace {

TEST_CASE("a Content-Type names a format") {
  const std::vector<std::pair<std::string, Format>> cases = {
      {"text/plain", Format::kPrometheusText},
      {"text/plain; version=0.0.4; charset=utf-8", Format::kPrometheusText},
      {"text/plain; version=0.0.4; charset=utf-8; escaping=underscores", Format::kPrometheusText},
      {"TEXT/Plain ;version=1.0.0", Format::kPrometheusText},
      {"text/plain;", Format::kPrometheusText},
      {"text/plain; a=\"quoted; \\\"x\"", Format::kPrometheusText},
      {"application/openmetrics-text; version=1.0.0", Format::kOpenMetrics},
      {"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
       "encoding=delimited",
       Format::kProtobuf},
  };
  for (const auto& [text, format] : cases) {
    INFO(text);
    const auto received = ParseContentType(text, std::nullopt);
    REQUIRE(received.ok());
    CHECK(received->format == format);
    CHECK(received->warning.empty());
    CHECK(MediaType(format) == MediaType(received->format));
  }
}

TEST_CASE("a Content-Type that names none takes the fallback or is refused") {
  struct Case {
    std::string content_type;
    std::string error;
    std::string warning;
  };
  const std::vector<Case> cases = {
      {"",
       "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
       "specified for target",
       ""},
      {"text/html; charset=utf-8",
       "received unsupported Content-Type \"text/html; charset=utf-8\" and no "
       "fallback_scrape_protocol specified for target",
       "received unsupported Content-Type \"text/html; charset=utf-8\", using "
       "fallback_scrape_protocol \"text/plain\""},
      {"text/plain; charset",
       "cannot parse Content-Type \"text/plain; charset\" and no fallback_scrape_protocol for "
       "target",
       "could not parse received Content-Type \"text/plain; charset\", using "
       "fallback_scrape_protocol \"text/plain\""},
      {"text/plain; a=b; A=c",
       "cannot parse Content-Type \"text/plain; a=b; A=c\" and no fallback_scrape_protocol for "
       "target",
       "could not parse received Content-Type \"text/plain; a=b; A=c\", using "
       "fallback_scrape_protocol \"text/plain\""},
      {"/plain", "cannot parse Content-Type \"/plain\" and no fallback_scrape_protocol for target",
       "could not parse received Content-Type \"/plain\", using fallback_scrape_protocol "
       "\"text/plain\""},
      {"text/plain; a=\"b",
       "cannot parse Content-Type \"text/plain; a=\\\"b\" and no fallback_scrape_protocol for "
       "target",
       "could not parse received Content-Type \"text/plain; a=\\\"b\", using "
       "fallback_scrape_protocol \"text/plain\""},
  };
  for (const Case& c : cases) {
    INFO(c.content_type);
    const auto refused = ParseContentType(c.content_type, std::nullopt);
    CHECK(refused.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(Message(refused.status()) == c.error);
    const auto taken = ParseContentType(c.content_type, Format::kPrometheusText);
    REQUIRE(taken.ok());
    CHECK(taken->format == Format::kPrometheusText);
    CHECK(taken->warning == c.warning);
  }
}

TEST_CASE("scrape protocols name formats") {
  CHECK(FormatOfProtocol("PrometheusText0.0.4") == Format::kPrometheusText);
  CHECK(FormatOfProtocol("PrometheusText1.0.0") == Format::kPrometheusText);
  CHECK(FormatOfProtocol("OpenMetricsText1.0.0") == Format::kOpenMetrics);
  CHECK(FormatOfProtocol("PrometheusProto") == Format::kProtobuf);
  CHECK(FormatOfProtocol("text/plain") == std::nullopt);
}

TEST_CASE("the Accept header asks for what can be parsed, in order") {
  const std::vector<std::string> protocols = {"OpenMetricsText1.0.0", "PrometheusText1.0.0",
                                              "PrometheusText0.0.4", "Unheard"};
  CHECK(AcceptHeader(protocols, "allow-utf-8") ==
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
        "*/*;q=0.4");
  CHECK(AcceptHeader({}, "allow-utf-8") == "*/*;q=0.6");
}

}  // namespace
}  // namespace narthex::textparse
