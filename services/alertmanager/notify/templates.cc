#include "services/alertmanager/notify/templates.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/builtins.h"
#include "lib/gotemplate/go_time.h"
#include "lib/gotemplate/text_functions.h"
#include "lib/gotemplate/unicode.h"

namespace narthex::notify {
namespace {

using gotemplate::Args;
using gotemplate::Environment;
using gotemplate::Value;
using Result = absl::StatusOr<Value>;

// What the functions reach.
class NotificationEnvironment : public Environment {
 public:
  explicit NotificationEnvironment(Clock* clock) : clock_(clock) {}
  absl::Time Now() const { return clock_->Now(); }

 private:
  Clock* const clock_;
};

absl::Time NowOf(const Environment& environment) {
  return static_cast<const NotificationEnvironment&>(environment).Now();
}

Result Title(const Environment&, Args args) {
  return Value::String(gotemplate::TitleCase(args[0].string_value()));
}

Result TrimSpaceFunction(const Environment&, Args args) {
  std::string_view text = args[0].string_value();
  while (!text.empty()) {
    size_t length = 0;
    if (!gotemplate::IsSpaceRune(DecodeRune(text, &length))) break;
    text.remove_prefix(length);
  }
  while (!text.empty()) {
    // To the first byte of the last rune.
    size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80) --begin;
    size_t length = 0;
    if (!gotemplate::IsSpaceRune(DecodeRune(text.substr(begin), &length))) break;
    text.remove_suffix(text.size() - begin);
  }
  return Value::String(text);
}

Result JoinFunction(const Environment&, Args args) {
  const std::string& separator = args[0].string_value();
  constexpr size_t kResultBytesMax = size_t{64} << 20;
  std::string out;
  bool first = true;
  for (const Value& part : args[1].list()) {
    if (!std::exchange(first, false)) out.append(separator);
    out.append(part.string_value());
    if (out.size() > kResultBytesMax) return ResourceExhausted("join: the result is too long");
  }
  return Value::String(out);
}

Result StringSlice(const Environment&, Args args) {
  return Value::MakeList(Value::List(args.begin(), args.end()), gotemplate::StringListType());
}

Result SafeUrl(const Environment&, Args args) {
  return Value::String(args[0].string_value(), gotemplate::UrlType());
}

Result UrlUnescape(const Environment&, Args args) {
  std::string text;
  if (!gotemplate::UnescapeQuery(args[0].string_value(), &text)) return InvalidArgument(text);
  return Value::String(text);
}

Result Date(const Environment&, Args args) {
  return Value::String(gotemplate::FormatTime(args[1].time_value(), args[0].string_value()));
}

Result Tz(const Environment&, Args args) {
  const std::string& name = args[0].string_value();
  gotemplate::ZonedTime time = args[1].time_value();
  if (name.empty() || name == "UTC") {
    time.zone = absl::UTCTimeZone();
  } else if (name == "Local") {
    time.zone = absl::LocalTimeZone();
  } else if (!absl::LoadTimeZone(ToAbsl(name), &time.zone)) {
    return InvalidArgument("unknown time zone ", name);
  }
  return Value::Time(time);
}

Result Now(const Environment& environment, Args) {
  return Value::Time({NowOf(environment), absl::LocalTimeZone()});
}

Result Since(const Environment& environment, Args args) {
  return Value::Duration(NowOf(environment) - args[0].time_value().time);
}

Result MustToDate(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const gotemplate::ZonedTime time,
                           gotemplate::ParseTime(args[0].string_value(), args[1].string_value()));
  return Value::Time(time);
}

Result ToDate(const Environment& environment, Args args) {
  const Result time = MustToDate(environment, args);
  return time.ok() ? *time : Value::Zero(gotemplate::TimeType());
}

Result ToJson(const Environment&, Args args) {
  std::string out;
  if (!AppendJson(&out, args[0])) return InvalidArgument("json: unsupported value");
  return Value::String(out);
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

Result Base64Encode(const Environment&, Args args) {
  const std::string& text = args[0].string_value();
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    const size_t bytes = std::min<size_t>(3, text.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (j < bytes ? static_cast<unsigned char>(text[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      out.push_back(j <= bytes ? kBase64[(group >> (18 - 6 * j)) & 63U] : '=');
    }
  }
  return Value::String(out);
}

Result Base64Decode(const Environment&, Args args) {
  const std::string& text = args[0].string_value();
  std::string out;
  const auto bad = [](size_t at) {
    return InvalidArgument("illegal base64 data at input byte ", at);
  };
  size_t end = text.size();
  if (end % 4 != 0) return bad(end);
  size_t padding = 0;
  while (padding < 2 && end > 0 && text[end - 1] == '=') {
    --end;
    ++padding;
  }
  uint32_t group = 0;
  for (size_t i = 0; i < end; ++i) {
    const size_t digit = kBase64.find(text[i]);
    if (digit == std::string_view::npos) return bad(i);
    group = (group << 6U) | static_cast<uint32_t>(digit);
    if (i % 4 == 3) {
      for (int shift = 16; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((group >> static_cast<unsigned>(shift)) & 255U));
      }
      group = 0;
    }
  }
  if (padding > 0) {
    group <<= 6U * padding;
    out.push_back(static_cast<char>((group >> 16U) & 255U));
    if (padding == 1) out.push_back(static_cast<char>((group >> 8U) & 255U));
  }
  return Value::String(out);
}

Result ListFunction(const Environment&, Args args) {
  return Value::MakeList(Value::List(args.begin(), args.end()));
}

Result Append(const Environment&, Args args) {
  if (args[0].kind() != gotemplate::Kind::kList) {
    return InvalidArgument("append: cannot append to ", args[0].type_name());
  }
  Value::List list = args[0].list();
  list.insert(list.end(), args.begin() + 1, args.end());
  return Value::MakeList(std::move(list));
}

Result Dict(const Environment&, Args args) {
  if (args.size() % 2 != 0) return InvalidArgument("dict expects an even number of arguments");
  Value::Map map;
  for (size_t i = 0; i < args.size(); i += 2) {
    if (args[i].kind() != gotemplate::Kind::kString) {
      return InvalidArgument("dict keys must be strings");
    }
    map.insert_or_assign(args[i].string_value(), args[i + 1]);
  }
  return Value::MakeMap(std::move(map));
}

std::vector<gotemplate::Function> MakeFunctions() {
  using gotemplate::Signature;
  const auto* any = gotemplate::AnyType();
  const auto* text = gotemplate::StringType();
  const auto* time = gotemplate::TimeType();
  const auto* texts = gotemplate::StringListType();
  const Signature one_text = {{text}, false};
  const Signature one_any = {{any}, false};
  return {
      {"toUpper", one_text, gotemplate::ToUpperFunction},
      {"toLower", one_text, gotemplate::ToLowerFunction},
      {"title", one_text, Title},
      {"trimSpace", one_text, TrimSpaceFunction},
      {"join", {{text, texts}, false}, JoinFunction},
      {"match", {{text, text}, false}, gotemplate::MatchFunction},
      {"safeHtml", one_text, gotemplate::SafeHtmlFunction},
      {"safeUrl", one_text, SafeUrl},
      {"urlUnescape", one_text, UrlUnescape},
      {"reReplaceAll", {{text, text, text}, false}, gotemplate::ReReplaceAllFunction},
      {"stringSlice", {{text}, true}, StringSlice},
      {"date", {{text, time}, false}, Date},
      {"tz", {{text, time}, false}, Tz},
      {"now", {}, Now},
      {"since", {{time}, false}, Since},
      {"toDate", {{text, text}, false}, ToDate},
      {"mustToDate", {{text, text}, false}, MustToDate},
      {"humanizeDuration", one_any, gotemplate::HumanizeDurationFunction},
      {"toJson", one_any, ToJson},
      {"base64encode", one_text, Base64Encode},
      {"base64decode", one_text, Base64Decode},
      {"list", {{any}, true}, ListFunction},
      {"append", {{any, any}, true}, Append},
      {"dict", {{any}, true}, Dict},
  };
}

}  // namespace

const gotemplate::FunctionTable& NotificationFunctions() {
  static const auto* const table = new gotemplate::FunctionTable(MakeFunctions());
  return *table;
}

Templates::Templates(Clock* clock) : clock_(clock), set_(&NotificationFunctions()) {
  static const auto* const defaults = [] {
    auto* set = new gotemplate::TemplateSet(&NotificationFunctions());
    NARTHEX_CHECK_OK(set->Parse("default.tmpl", DefaultTemplates()));
    return set;
  }();
  set_ = *defaults;
}

absl::Status Templates::AddFile(std::string_view name, std::string_view text) {
  return set_.Parse(name, text);
}

absl::StatusOr<std::string> Templates::Expand(std::string_view text,
                                              const gotemplate::Value& data) const {
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  gotemplate::TemplateSet with_text = set_;
  NARTHEX_RETURN_IF_ERROR(with_text.Parse("", text));
  return with_text.Execute("", data, NotificationEnvironment(clock_));
}

}  // namespace narthex::notify
