#include "lib/http/message.h"

#include <algorithm>

#include "lib/base/strings.h"

namespace narthex::http {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void AppendEscaped(char c, std::string* out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const unsigned char byte = static_cast<unsigned char>(c);
  out->push_back('%');
  out->push_back(kDigits[byte >> 4]);
  out->push_back(kDigits[byte & 15]);
}

template <typename Pairs>
auto FindPair(Pairs& pairs, std::string_view name) {
  return std::find_if(pairs.begin(), pairs.end(),
                      [name](const auto& pair) { return pair.first == name; });
}

}  // namespace

void Headers::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void Headers::Remove(std::string_view name) {
  std::erase_if(fields_,
                [name](const auto& field) { return EqualsIgnoreCaseAscii(field.first, name); });
}

std::string_view Headers::Get(std::string_view name) const {
  for (const auto& field : fields_) {
    if (EqualsIgnoreCaseAscii(field.first, name)) return field.second;
  }
  return "";
}

bool Headers::Has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [name](const auto& field) {
    return EqualsIgnoreCaseAscii(field.first, name);
  });
}

std::string_view Params::Get(std::string_view name) const {
  const auto found = FindPair(pairs_, name);
  return found == pairs_.end() ? std::string_view() : std::string_view(found->second);
}

bool Params::Has(std::string_view name) const { return FindPair(pairs_, name) != pairs_.end(); }

std::vector<std::string> Params::All(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& pair : pairs_) {
    if (pair.first == name) values.push_back(pair.second);
  }
  return values;
}

std::string_view ServerRequest::PathParam(std::string_view name) const {
  const auto found = FindPair(path_params, name);
  return found == path_params.end() ? std::string_view() : std::string_view(found->second);
}

ServerResponse ServerResponse::Text(int status, std::string_view text) {
  ServerResponse response;
  response.status = status;
  response.body = std::string(text);
  return response;
}

ServerResponse ServerResponse::Json(int status, std::string json) {
  ServerResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(json);
  return response;
}

ServerResponse ServerResponse::Error(int status, std::string_view text) {
  ServerResponse response = Text(status, StrCat(text, "\n"));
  response.headers.Set("X-Content-Type-Options", "nosniff");
  return response;
}

bool ParseForm(std::string_view encoded, Params* params) {
  bool good = true;
  std::string name;
  std::string value;
  while (!encoded.empty()) {
    const size_t end = encoded.find('&');
    const std::string_view piece = encoded.substr(0, end);
    encoded.remove_prefix(end == std::string_view::npos ? encoded.size() : end + 1);
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    const std::string_view raw_value =
        equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1);
    if (piece.find(';') != std::string_view::npos ||
        !UrlDecode(piece.substr(0, equals), true, &name) || !UrlDecode(raw_value, true, &value)) {
      good = false;
      continue;
    }
    params->Add(name, value);
  }
  return good;
}

std::string UrlEncodeQuery(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out.push_back(c);
    } else if (c == ' ') {
      out.push_back('+');
    } else {
      AppendEscaped(c, &out);
    }
  }
  return out;
}

std::string UrlEncodePath(std::string_view segment) {
  constexpr std::string_view kAllowed = "$&+=:@";
  std::string out;
  out.reserve(segment.size());
  for (const char c : segment) {
    if (IsUnreserved(c) || kAllowed.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      AppendEscaped(c, &out);
    }
  }
  return out;
}

bool UrlDecode(std::string_view text, bool plus_is_space, std::string* out) {
  out->clear();
  out->reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else if (text[i] == '+' && plus_is_space) {
      out->push_back(' ');
    } else {
      out->push_back(text[i]);
    }
  }
  return true;
}

}  // namespace narthex::http
