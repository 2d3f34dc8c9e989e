#include "lib/gotemplate/prometheus_functions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "lib/base/duration.h"
#include "lib/base/float_format.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/gotemplate/builtins.h"
#include "lib/gotemplate/go_time.h"
#include "lib/gotemplate/text_functions.h"
#include "lib/gotemplate/unicode.h"

namespace narthex::gotemplate {
namespace {

using Result = absl::StatusOr<Value>;

// What every rule template begins with; error positions of upstream count it too.
constexpr std::string_view kPreamble =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}"
    "{{$value := .Value}}";

// C's %.4g.
std::string FourDigits(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[32];
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 4);
  return {buffer, result.ptr};
}

const Type* SampleType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "*template.sample";
    made->kind = Kind::kStruct;
    made->fields = {"Labels", "Value"};
    return made;
  }();
  return type;
}

const Type* QueryResultType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.queryResult";
    made->kind = Kind::kList;
    made->element = SampleType();
    return made;
  }();
  return type;
}

const Type* RuleDataType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name =
        "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; "
        "Value interface {} }";
    made->kind = Kind::kStruct;
    made->fields = {"Labels", "ExternalLabels", "ExternalURL", "Value"};
    return made;
  }();
  return type;
}

const RuleEnvironment& EnvironmentOf(const Environment& environment) {
  return static_cast<const RuleEnvironment&>(environment);
}

std::string_view LabelOf(const Value& sample, std::string_view name) {
  const Value* found = sample.list()[0].Find(name);
  return found == nullptr ? std::string_view() : std::string_view(found->string_value());
}

Result Query(const Environment& environment, Args args) {
  const RuleEnvironment& rule = EnvironmentOf(environment);
  if (rule.query == nullptr) return FailedPrecondition("no query engine here");
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<QuerySample> samples,
                           rule.query(args[0].string_value(), rule.time));
  Value::List list;
  list.reserve(samples.size());
  for (const QuerySample& sample : samples) {
    list.push_back(Value::MakeStruct(
        SampleType(), {Value::MakeStringMap(sample.labels), Value::Float(sample.value)}));
  }
  return Value::MakeList(std::move(list), QueryResultType());
}

Result First(const Environment&, Args args) {
  if (args[0].list().empty()) return NotFound("first() called on vector with no elements");
  return args[0].list().front();
}

Result Label(const Environment&, Args args) {
  return Value::String(LabelOf(args[1], args[0].string_value()));
}

Result SampleValue(const Environment&, Args args) { return args[0].list()[1]; }

Result StringValue(const Environment&, Args args) {
  return Value::String(LabelOf(args[0], "__value__"));
}

Result SortByLabel(const Environment&, Args args) {
  const std::string& name = args[0].string_value();
  Value::List sorted = args[1].list();
  std::stable_sort(sorted.begin(), sorted.end(), [&name](const Value& a, const Value& b) {
    return LabelOf(a, name) < LabelOf(b, name);
  });
  return Value::MakeList(std::move(sorted), QueryResultType());
}

Result ArgsFunction(const Environment&, Args args) {
  Value::Map map;
  for (size_t i = 0; i < args.size(); ++i) map.emplace(StrCat("arg", i), args[i]);
  return Value::MakeMap(std::move(map));
}

Result Title(const Environment&, Args args) {
  return Value::String(CapitalizeWords(args[0].string_value()));
}

Result GraphLink(const Environment&, Args args) {
  return Value::String(StrCat("/graph?g0.expr=", EscapeQuery(args[0].string_value()), "&g0.tab=0"));
}

Result TableLink(const Environment&, Args args) {
  return Value::String(StrCat("/graph?g0.expr=", EscapeQuery(args[0].string_value()), "&g0.tab=1"));
}

// Go's net.SplitHostPort; false when there is no port or the address is malformed.
bool SplitHostPort(std::string_view text, std::string_view* host, std::string_view* port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  *port = text.substr(colon + 1);
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close + 1 != colon) return false;
    *host = text.substr(1, close - 1);
  } else {
    *host = text.substr(0, colon);
    if (host->find(':') != std::string_view::npos) return false;
  }
  return host->find_first_of("[]") == std::string_view::npos &&
         port->find_first_of("[]") == std::string_view::npos;
}

// Four decimal numbers, or something with colons: what Go's net.ParseIP takes, as far as a host
// name can be mistaken for it.
bool IsIpAddress(std::string_view host) {
  if (host.find(':') != std::string_view::npos) return true;
  const std::vector<std::string_view> parts = Split(host, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           uint64_t number = 0;
           return part.size() <= 3 && ParseUint64(part, &number) && number <= 255 &&
                  (part.size() == 1 || part[0] != '0');
         });
}

Result StripPort(const Environment&, Args args) {
  std::string_view host;
  std::string_view port;
  const bool split = SplitHostPort(args[0].string_value(), &host, &port);
  return split ? Value::String(host) : args[0];
}

Result StripDomain(const Environment&, Args args) {
  std::string_view host;
  std::string_view port;
  if (!SplitHostPort(args[0].string_value(), &host, &port)) {
    host = args[0].string_value();
    port = {};
  }
  if (IsIpAddress(host)) return args[0];
  host = host.substr(0, host.find('.'));
  return Value::String(port.empty() ? std::string(host) : StrCat(host, ":", port));
}

using Humanizer = std::string (*)(double);

template <Humanizer humanizer>
Result HumanizeFunction(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double number, ToFloat(args[0]));
  return Value::String(humanizer(number));
}

// Seconds since the epoch, cut to milliseconds as model.Time is.
absl::StatusOr<absl::Time> TimeOfSeconds(double seconds) {
  if (!std::isfinite(seconds)) return InvalidArgument("value is NaN or Inf");
  const double nanoseconds = seconds * 1e9;
  if (nanoseconds >= static_cast<double>(std::numeric_limits<int64_t>::max()) ||
      nanoseconds < static_cast<double>(std::numeric_limits<int64_t>::min())) {
    return InvalidArgument(
        FormatFloatG(seconds),
        " cannot be represented as a nanoseconds timestamp since it overflows int64");
  }
  return absl::FromUnixMillis(static_cast<int64_t>(nanoseconds) / 1'000'000);
}

Result HumanizeTimestampFunction(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double seconds, ToFloat(args[0]));
  if (std::isfinite(seconds)) NARTHEX_RETURN_IF_ERROR(TimeOfSeconds(seconds).status());
  return Value::String(HumanizeTimestamp(seconds));
}

Result ToTime(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double seconds, ToFloat(args[0]));
  NARTHEX_ASSIGN_OR_RETURN(const absl::Time time, TimeOfSeconds(seconds));
  return Value::Time({time, absl::UTCTimeZone()});
}

Result ToDuration(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double seconds, ToFloat(args[0]));
  NARTHEX_RETURN_IF_ERROR(TimeOfSeconds(seconds).status());
  return Value::Duration(absl::Nanoseconds(static_cast<int64_t>(seconds * 1e9)));
}

Result Now(const Environment& environment, Args) {
  return Value::Float(static_cast<double>(absl::ToUnixMillis(EnvironmentOf(environment).time)) /
                      1000.0);
}

Result ParseDurationFunction(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const absl::Duration duration, ParseDuration(args[0].string_value()));
  return Value::Float(absl::ToDoubleSeconds(duration));
}

Result ExternalUrl(const Environment& environment, Args) {
  return Value::String(EnvironmentOf(environment).external_url);
}

Result PathPrefix(const Environment& environment, Args) {
  std::string_view url = EnvironmentOf(environment).external_url;
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  const size_t slash = url.find('/');
  if (slash == std::string_view::npos) return Value::String("");
  url.remove_prefix(slash);
  return Value::String(url.substr(0, url.find_first_of("?#")));
}

Result UrlQueryEscape(const Environment&, Args args) {
  return Value::String(EscapeQuery(args[0].string_value()));
}

std::vector<Function> MakeRuleFunctions() {
  const Signature none;
  const Signature any = {{AnyType()}, false};
  const Signature text = {{StringType()}, false};
  const Signature two_texts = {{StringType(), StringType()}, false};
  const Signature three_texts = {{StringType(), StringType(), StringType()}, false};
  const Signature sample = {{SampleType()}, false};
  return {
      {"query", text, Query},
      {"first", {{QueryResultType()}, false}, First},
      {"label", {{StringType(), SampleType()}, false}, Label},
      {"value", sample, SampleValue},
      {"strvalue", sample, StringValue},
      {"sortByLabel", {{StringType(), QueryResultType()}, false}, SortByLabel},
      {"args", {{AnyType()}, true}, ArgsFunction},
      {"reReplaceAll", three_texts, ReReplaceAllFunction},
      {"safeHtml", text, SafeHtmlFunction},
      {"match", two_texts, MatchFunction},
      {"title", text, Title},
      {"toUpper", text, ToUpperFunction},
      {"toLower", text, ToLowerFunction},
      {"graphLink", text, GraphLink},
      {"tableLink", text, TableLink},
      {"stripPort", text, StripPort},
      {"stripDomain", text, StripDomain},
      {"humanize", any, HumanizeFunction<Humanize>},
      {"humanize1024", any, HumanizeFunction<Humanize1024>},
      {"humanizeDuration", any, HumanizeFunction<HumanizeDuration>},
      {"humanizePercentage", any, HumanizeFunction<HumanizePercentage>},
      {"humanizeTimestamp", any, HumanizeTimestampFunction},
      {"toTime", any, ToTime},
      {"toDuration", any, ToDuration},
      {"now", none, Now},
      {"parseDuration", text, ParseDurationFunction},
      {"pathPrefix", none, PathPrefix},
      {"externalURL", none, ExternalUrl},
      {"urlQueryEscape", text, UrlQueryEscape},
  };
}

constexpr std::array<std::string_view, 8> kSmall = {"m", "u", "n", "p", "f", "a", "z", "y"};

}  // namespace

const FunctionTable& RuleFunctions() {
  static const auto* const table = new FunctionTable(MakeRuleFunctions());
  return *table;
}

std::string Humanize(double value) {
  constexpr std::array<std::string_view, 8> kLarge = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
  std::string_view prefix;
  if (value == 0 || !std::isfinite(value)) return FourDigits(value);
  if (std::fabs(value) >= 1) {
    for (const std::string_view next : kLarge) {
      if (std::fabs(value) < 1000) break;
      prefix = next;
      value /= 1000;
    }
  } else {
    for (const std::string_view next : kSmall) {
      if (std::fabs(value) >= 1) break;
      prefix = next;
      value *= 1000;
    }
  }
  return StrCat(FourDigits(value), prefix);
}

std::string Humanize1024(double value) {
  constexpr std::array<std::string_view, 8> kLarge = {"ki", "Mi", "Gi", "Ti",
                                                      "Pi", "Ei", "Zi", "Yi"};
  if (std::fabs(value) <= 1 || !std::isfinite(value)) return FourDigits(value);
  std::string_view prefix;
  for (const std::string_view next : kLarge) {
    if (std::fabs(value) < 1024) break;
    prefix = next;
    value /= 1024;
  }
  return StrCat(FourDigits(value), prefix);
}

std::string HumanizePercentage(double value) { return StrCat(FourDigits(value * 100), "%"); }

std::string HumanizeDuration(double seconds) {
  if (!std::isfinite(seconds)) return FourDigits(seconds);
  if (seconds == 0) return "0s";
  if (std::fabs(seconds) < 1) {
    std::string_view prefix;
    for (const std::string_view next : kSmall) {
      if (std::fabs(seconds) >= 1) break;
      prefix = next;
      seconds *= 1000;
    }
    return StrCat(FourDigits(seconds), prefix, "s");
  }
  const std::string_view sign = seconds < 0 ? "-" : "";
  seconds = std::fabs(seconds);
  constexpr double kTwo63 = 9223372036854775808.0;
  const int64_t whole =
      seconds < kTwo63 ? static_cast<int64_t>(seconds) : std::numeric_limits<int64_t>::min();
  const int64_t second = whole % 60;
  const int64_t minute = whole / 60 % 60;
  const int64_t hour = whole / 3600 % 24;
  const int64_t day = whole / 86400;
  if (day != 0) return StrCat(sign, day, "d ", hour, "h ", minute, "m ", second, "s");
  if (hour != 0) return StrCat(sign, hour, "h ", minute, "m ", second, "s");
  if (minute != 0) return StrCat(sign, minute, "m ", second, "s");
  return StrCat(sign, FourDigits(seconds), "s");
}

std::string HumanizeTimestamp(double seconds) {
  const absl::StatusOr<absl::Time> time = TimeOfSeconds(seconds);
  return time.ok() ? TimeString({*time, absl::UTCTimeZone()}) : FourDigits(seconds);
}

absl::StatusOr<RuleTemplate> RuleTemplate::Parse(std::string_view name, std::string_view text) {
  RuleTemplate made{std::string(name), TemplateSet(&RuleFunctions())};
  made.is_literal_ = text.find("{{") == std::string_view::npos;
  if (made.is_literal_) {
    made.literal_ = std::string(text);
    return made;
  }
  const absl::Status status = made.set_.Parse(name, StrCat(kPreamble, text));
  if (status.ok()) return made;
  return Annotate(status, StrCat("error parsing template ", name));
}

absl::StatusOr<std::string> RuleTemplate::Expand(const RuleData& data,
                                                 const RuleEnvironment& environment) const {
  if (is_literal_) return literal_;
  const Value dot = Value::MakeStruct(
      RuleDataType(),
      {Value::MakeStringMap(data.labels), Value::MakeStringMap(data.external_labels),
       Value::String(data.external_url), Value::Float(data.value)});
  absl::StatusOr<std::string> text = set_.Execute(name_, dot, environment);
  if (text.ok()) return text;
  return Annotate(text.status(), StrCat("error executing template ", name_));
}

}  // namespace narthex::gotemplate
