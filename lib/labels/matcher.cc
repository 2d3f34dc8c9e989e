#include "lib/labels/matcher.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/labels/selector_format.h"

namespace narthex {

std::string_view MatchTypeText(MatchType type) {
  switch (type) {
    case MatchType::kEqual:
      return "=";
    case MatchType::kNotEqual:
      return "!=";
    case MatchType::kRegex:
      return "=~";
    case MatchType::kNotRegex:
      return "!~";
  }
  return "?";
}

absl::StatusOr<Matcher> Matcher::Create(MatchType type, std::string_view name,
                                        std::string_view value) {
  if (type == MatchType::kEqual || type == MatchType::kNotEqual) {
    return Matcher(type, name, value, Regex());
  }
  NARTHEX_ASSIGN_OR_RETURN(Regex regex, Regex::Compile(value));
  return Matcher(type, name, value, std::move(regex));
}

Matcher Matcher::Equal(std::string_view name, std::string_view value) {
  return Matcher(MatchType::kEqual, name, value, Regex());
}

bool Matcher::Matches(std::string_view value) const {
  switch (type_) {
    case MatchType::kEqual:
      return value == value_;
    case MatchType::kNotEqual:
      return value != value_;
    case MatchType::kRegex:
      return regex_.Matches(value);
    case MatchType::kNotRegex:
      return !regex_.Matches(value);
  }
  return false;
}

std::string Matcher::ToString() const {
  std::string out;
  AppendLabelName(&out, name_);
  StrAppend(&out, MatchTypeText(type_), Quote(value_));
  return out;
}

}  // namespace narthex
