#include "lib/config/url.h"

#include "lib/base/strings.h"

namespace narthex::config {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Where the scheme ends (its colon), 0 for none; npos when the text begins with the colon.
size_t SchemeEnd(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (IsLetter(c)) continue;
    if (IsDigit(c) || c == '+' || c == '-' || c == '.') {
      if (i == 0) return 0;
      continue;
    }
    if (c == ':') return i == 0 ? std::string_view::npos : i;
    return 0;
  }
  return 0;
}

bool HasBadEscape(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') continue;
    if (i + 2 >= text.size() || !IsHex(text[i + 1]) || !IsHex(text[i + 2])) return true;
  }
  return false;
}

// The ":port" at the end of `host`, or "" when there is none.
std::string_view PortOf(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return colon == std::string_view::npos ? std::string_view() : host.substr(colon);
}

}  // namespace

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  const auto error = [text](std::string_view reason) {
    return InvalidArgument("parse ", Quote(text), ": ", reason);
  };
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return error("net/url: invalid control character in URL");
    }
  }
  Url url;
  std::string_view rest = text;
  const size_t scheme_end = SchemeEnd(text);
  if (scheme_end == std::string_view::npos) return error("missing protocol scheme");
  if (scheme_end > 0) {
    url.scheme = ToLowerAscii(text.substr(0, scheme_end));
    rest.remove_prefix(scheme_end + 1);
  }
  if (!rest.starts_with('/') && url.scheme.empty()) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment.find(':') != std::string_view::npos) {
      return error("first path segment in URL cannot contain colon");
    }
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    rest.remove_prefix(authority.size());
    if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
      url.user_info = std::string(authority.substr(0, at));
      authority.remove_prefix(at + 1);
    }
    if (authority.find(' ') != std::string_view::npos) {
      return error("invalid character \" \" in host name");
    }
    const std::string_view port = PortOf(authority);
    if (port.find_first_not_of("0123456789", port.empty() ? 0 : 1) != std::string_view::npos) {
      return error(StrCat("invalid port ", Quote(port), " after host"));
    }
    url.host = std::string(authority);
  }
  if (HasBadEscape(rest.substr(0, rest.find_first_of("?#")))) {
    return error("invalid URL escape");
  }
  url.path = std::string(rest);
  return url;
}

std::string RedactUrl(std::string_view text) {
  const absl::StatusOr<Url> url = ParseUrl(text);
  if (!url.ok()) return std::string(text);
  const size_t colon = url->user_info.find(':');
  if (colon == std::string::npos) return std::string(text);
  return StrCat(url->scheme, url->scheme.empty() ? "//" : "://", url->user_info.substr(0, colon),
                ":xxxxx@", url->host, url->path);
}

}  // namespace narthex::config
