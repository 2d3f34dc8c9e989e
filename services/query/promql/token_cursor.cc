#include "services/query/promql/token_cursor.h"

#include <limits>
#include <string>

#include "lib/base/duration.h"
#include "lib/base/strings.h"
#include "services/query/promql/type_check.h"

namespace narthex::promql {
namespace {

// Go's strconv.ParseInt with automatic base, then ParseFloat.
bool ParseNumber(std::string_view text, double* value) {
  std::string digits;
  for (char c : text) {
    if (c != '_') digits += c;
  }
  const auto parse_integer = [&](size_t skip, unsigned base) {
    if (digits.size() <= skip) return false;
    uint64_t result = 0;
    for (size_t i = skip; i < digits.size(); ++i) {
      const char c = digits[i];
      unsigned digit = 99;
      if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
      if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
      if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
      if (digit >= base) return false;
      if (result > (static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - digit) / base) {
        return false;
      }
      result = result * base + digit;
    }
    *value = static_cast<double>(result);
    return true;
  };
  if (digits.size() > 1 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
    return parse_integer(2, 16);
  }
  if (digits.size() > 1 && digits[0] == '0' && parse_integer(1, 8)) return true;
  if (parse_integer(0, 10)) return true;
  return ParseDouble(digits, value);
}

}  // namespace

bool TokenCursor::Fail(PositionRange position, std::string_view message) {
  if (status_.ok()) status_ = ParseErrorAt(query_, position.start, message);
  return false;
}

bool TokenCursor::Unexpected(std::string_view context, std::string_view expected) {
  if (token_.type == TokenType::kError) return Fail(token_.position, token_.text);
  std::string message = StrCat("unexpected ", Describe(token_));
  if (!context.empty()) StrAppend(&message, " in ", context);
  if (!expected.empty()) StrAppend(&message, ", expected ", expected);
  return Fail(token_.position, message);
}

bool TokenCursor::Expect(TokenType type, std::string_view context, std::string_view expected) {
  if (token_.type != type) return Unexpected(context, expected);
  Advance();
  return true;
}

bool TokenCursor::ParseNumberToken(double* value, bool* is_duration) {
  *is_duration = token_.type == TokenType::kDuration;
  if (*is_duration) {
    const absl::StatusOr<absl::Duration> parsed = ParseDuration(token_.text);
    if (!parsed.ok()) return Fail(token_.position, Message(parsed.status()));
    *value = absl::ToDoubleSeconds(*parsed);
  } else if (!ParseNumber(token_.text, value)) {
    return Fail(token_.position, StrCat("error parsing number: strconv.ParseFloat: parsing ",
                                        Quote(token_.text), ": invalid syntax"));
  }
  Advance();
  return true;
}

}  // namespace narthex::promql
