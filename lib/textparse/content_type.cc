#include "lib/textparse/content_type.h"

#include <array>
#include <vector>

#include "lib/base/strings.h"

namespace narthex::textparse {
namespace {

struct Protocol {
  std::string_view name;
  Format format;
  std::string_view accept;
  bool knows_escaping;
};

// The protocols of scrape_protocols.
constexpr std::array<Protocol, 5> kProtocols = {{
    {"PrometheusProto", Format::kProtobuf,
     "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
     false},
    {"OpenMetricsText1.0.0", Format::kOpenMetrics, "application/openmetrics-text;version=1.0.0",
     true},
    {"OpenMetricsText0.0.1", Format::kOpenMetrics, "application/openmetrics-text;version=0.0.1",
     false},
    {"PrometheusText1.0.0", Format::kPrometheusText, "text/plain;version=1.0.0", true},
    {"PrometheusText0.0.4", Format::kPrometheusText, "text/plain;version=0.0.4", false},
}};

const Protocol* FindProtocol(std::string_view name) {
  for (const Protocol& protocol : kProtocols) {
    if (protocol.name == name) return &protocol;
  }
  return nullptr;
}

bool HasParser(Format format) { return format == Format::kPrometheusText; }

bool IsTokenChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Reads the token at the start of `rest` and takes it off.
std::string_view TakeToken(std::string_view* rest) {
  size_t length = 0;
  while (length < rest->size() && IsTokenChar((*rest)[length])) ++length;
  const std::string_view token = rest->substr(0, length);
  rest->remove_prefix(length);
  return token;
}

// Takes a quoted string off `rest`, which starts with a double quote.
bool SkipQuoted(std::string_view* rest) {
  for (size_t i = 1; i < rest->size(); ++i) {
    if ((*rest)[i] == '"') {
      rest->remove_prefix(i + 1);
      return true;
    }
    if ((*rest)[i] == '\\') ++i;
  }
  return false;
}

// "type/subtype; name=value; …" to "type/subtype" in lower case; nothing when it is malformed. A
// trailing semicolon is allowed, as in Go's mime.ParseMediaType.
std::optional<std::string> ParseMediaType(std::string_view text) {
  const size_t semicolon = std::min(text.find(';'), text.size());
  std::string media_type = ToLowerAscii(TrimSpace(text.substr(0, semicolon)));
  std::string_view rest = media_type;
  const std::string_view type = TakeToken(&rest);
  if (type.empty()) return std::nullopt;
  if (!rest.empty()) {
    if (rest[0] != '/') return std::nullopt;
    rest.remove_prefix(1);
    if (TakeToken(&rest).empty() || !rest.empty()) return std::nullopt;
  }
  rest = TrimSpace(text.substr(semicolon));
  std::vector<std::string> names;
  while (!rest.empty()) {
    if (rest[0] != ';') return std::nullopt;
    rest = TrimSpace(rest.substr(1));
    if (rest.empty()) break;
    const std::string name = ToLowerAscii(TakeToken(&rest));
    rest = TrimSpace(rest);
    if (name.empty() || rest.empty() || rest[0] != '=') return std::nullopt;
    rest = TrimSpace(rest.substr(1));
    if (!rest.empty() && rest[0] == '"') {
      if (!SkipQuoted(&rest)) return std::nullopt;
    } else if (TakeToken(&rest).empty()) {
      return std::nullopt;
    }
    for (const std::string& other : names) {
      if (other == name) return std::nullopt;
    }
    names.push_back(name);
    rest = TrimSpace(rest);
  }
  return media_type;
}

}  // namespace

std::string_view MediaType(Format format) {
  switch (format) {
    case Format::kPrometheusText:
      return "text/plain";
    case Format::kOpenMetrics:
      return "application/openmetrics-text";
    case Format::kProtobuf:
      return "application/vnd.google.protobuf";
  }
  return "";
}

std::optional<Format> FormatOfProtocol(std::string_view scrape_protocol) {
  const Protocol* const protocol = FindProtocol(scrape_protocol);
  if (protocol == nullptr) return std::nullopt;
  return protocol->format;
}

absl::StatusOr<ReceivedFormat> ParseContentType(std::string_view content_type,
                                                std::optional<Format> fallback) {
  if (content_type.empty()) {
    if (fallback.has_value()) return ReceivedFormat{*fallback, ""};
    return InvalidArgument(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
        "specified for target");
  }
  const std::optional<std::string> media_type = ParseMediaType(content_type);
  if (media_type.has_value()) {
    for (const Format format : {Format::kPrometheusText, Format::kOpenMetrics, Format::kProtobuf}) {
      if (*media_type == MediaType(format)) return ReceivedFormat{format, ""};
    }
  }
  const std::string quoted = Quote(content_type);
  if (!fallback.has_value()) {
    if (!media_type.has_value()) {
      return InvalidArgument("cannot parse Content-Type ", quoted,
                             " and no fallback_scrape_protocol for target");
    }
    return InvalidArgument("received unsupported Content-Type ", quoted,
                           " and no fallback_scrape_protocol specified for target");
  }
  return ReceivedFormat{
      *fallback, StrCat(media_type.has_value() ? "received unsupported Content-Type "
                                               : "could not parse received Content-Type ",
                        quoted, ", using fallback_scrape_protocol ", Quote(MediaType(*fallback)))};
}

std::string AcceptHeader(std::span<const std::string> scrape_protocols, std::string_view escaping) {
  // Tenths. Upstream starts one above the number of protocols it knows, and so do we: the weights
  // are the same whatever is left out at the end.
  size_t weight = kProtocols.size() + 1;
  std::string header;
  for (const std::string& name : scrape_protocols) {
    const Protocol* const protocol = FindProtocol(name);
    if (protocol == nullptr || !HasParser(protocol->format)) continue;
    StrAppend(&header, protocol->accept);
    if (protocol->knows_escaping) StrAppend(&header, ";escaping=", escaping);
    StrAppend(&header, ";q=0.", weight, ",");
    --weight;
  }
  StrAppend(&header, "*/*;q=0.", weight);
  return header;
}

}  // namespace narthex::textparse
