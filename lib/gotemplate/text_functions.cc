#include "lib/gotemplate/text_functions.h"

#include "absl/time/time.h"
#include "lib/base/regex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/format.h"
#include "lib/gotemplate/prometheus_functions.h"

namespace narthex::gotemplate {

absl::StatusOr<Value> ToUpperFunction(const Environment&, Args args) {
  return Value::String(ToUpperUtf8(args[0].string_value()));
}

absl::StatusOr<Value> ToLowerFunction(const Environment&, Args args) {
  return Value::String(ToLowerUtf8(args[0].string_value()));
}

absl::StatusOr<Value> SafeHtmlFunction(const Environment&, Args args) {
  return Value::String(args[0].string_value(), HtmlType());
}

absl::StatusOr<Value> MatchFunction(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const Regex regex, Regex::CompileUnanchored(args[0].string_value()));
  return Value::Bool(regex.Contains(args[1].string_value()));
}

absl::StatusOr<Value> ReReplaceAllFunction(const Environment&, Args args) {
  const std::string& pattern = args[0].string_value();
  const absl::StatusOr<Regex> regex = Regex::CompileUnanchored(pattern);
  if (!regex.ok()) {
    // Upstream panics here; this is the text of it.
    const Value shown = args[0];
    return InvalidArgument("regexp: Compile(", Sprintf("%#q", {&shown, 1}),
                           "): ", Message(regex.status()));
  }
  const std::string& replacement = args[1].string_value();
  const std::string& text = args[2].string_value();
  // Every byte of the text can be a match, and every replacement can hold the text in each of its
  // groups.
  constexpr size_t kResultBytesMax = size_t{64} << 20;
  if ((replacement.size() + 1) * (text.size() + 1) > kResultBytesMax) {
    return ResourceExhausted("reReplaceAll: the text or the replacement is too long");
  }
  return Value::String(regex->ReplaceAll(text, replacement));
}

absl::StatusOr<Value> HumanizeDurationFunction(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double seconds, ToFloat(args[0]));
  return Value::String(HumanizeDuration(seconds));
}

absl::StatusOr<double> ToFloat(const Value& value) {
  switch (value.kind()) {
    case Kind::kInt:
      if (value.type() == DurationType()) return absl::ToDoubleSeconds(value.duration_value());
      return static_cast<double>(value.int_value());
    case Kind::kUint:
      return static_cast<double>(value.uint_value());
    case Kind::kFloat:
      return value.float_value();
    case Kind::kString: {
      double number = 0;
      if (ParseDouble(value.string_value(), &number)) return number;
      return InvalidArgument("strconv.ParseFloat: parsing ", Quote(value.string_value()),
                             ": invalid syntax");
    }
    case Kind::kNil:
    case Kind::kBool:
    case Kind::kComplex:
    case Kind::kList:
    case Kind::kMap:
    case Kind::kStruct:
    case Kind::kTime:
      break;
  }
  return InvalidArgument("can't convert ", value.type_name(), " to float");
}

}  // namespace narthex::gotemplate
