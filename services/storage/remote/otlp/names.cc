#include "services/storage/remote/otlp/names.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::otlp {
namespace {

struct Unit {
  std::string_view otlp;
  std::string_view name;
};
// UCUM's units in the words of Prometheus' conventions; others stay as they are.
constexpr Unit kUnits[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};
// Behind a '/', where "m" is a minute.
constexpr Unit kPerUnits[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

template <size_t kCount>
std::string_view FindUnit(const Unit (&units)[kCount], std::string_view unit) {
  for (const Unit& one : units) {
    if (one.otlp == unit) return one.name;
  }
  return unit;
}

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The part before or behind the '/' as a suffix; annotations in braces are none.
struct UnitSuffixes {
  std::string main;
  std::string per;  // With "per_".
};
UnitSuffixes SuffixesOf(std::string_view unit) {
  UnitSuffixes suffixes;
  const size_t slash = unit.find('/');
  const std::string_view main = TrimSpace(unit.substr(0, slash));
  const auto is_unit = [](std::string_view text) {
    return !text.empty() && text.find_first_of("{}") == std::string_view::npos;
  };
  if (is_unit(main)) suffixes.main = FindUnit(kUnits, main);
  if (slash == std::string_view::npos) return suffixes;
  const std::string_view per = TrimSpace(unit.substr(slash + 1));
  if (is_unit(per)) suffixes.per = StrCat("per_", FindUnit(kPerUnits, per));
  return suffixes;
}

// Every other character is an underscore, runs of them are one, and none leads.
std::string CleanUnit(std::string_view unit) {
  std::string clean;
  for (size_t at = 0; at < unit.size();) {
    size_t length;
    DecodeRune(unit.substr(at), &length);
    const char c = unit[at];
    const bool kept = length == 1 && (IsAlphanumeric(c) || c == ':');
    if (kept) {
      clean.push_back(c);
    } else if (!clean.empty() && clean.back() != '_') {
      clean.push_back('_');
    }
    at += length;
  }
  return clean;
}

// The pieces between characters that a metric name cannot hold.
std::vector<std::string> SplitName(std::string_view name, bool keep_underscores) {
  std::vector<std::string> pieces;
  bool open = false;
  for (const char c : name) {
    const bool kept = IsAlphanumeric(c) || c == ':' || (keep_underscores && c == '_');
    if (kept) {
      if (!open) pieces.emplace_back();
      pieces.back().push_back(c);
    }
    open = kept;
  }
  return pieces;
}

bool Contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

void TrimUnderscore(std::string* text) {
  if (!text->empty() && text->back() == '_') text->pop_back();
}

void MoveToEnd(std::vector<std::string>* pieces, std::string_view word) {
  std::erase(*pieces, word);
  pieces->emplace_back(word);
}

std::string EscapedWithSuffixes(const Metric& metric) {
  std::vector<std::string> pieces = SplitName(metric.name, false);
  UnitSuffixes suffixes = SuffixesOf(metric.unit);
  suffixes.main = CleanUnit(suffixes.main);
  suffixes.per = CleanUnit(suffixes.per);
  if (Contains(pieces, suffixes.main)) suffixes.main.clear();
  if (suffixes.per == "per_") {
    suffixes.per.clear();
  } else {
    TrimUnderscore(&suffixes.per);
    if (Contains(pieces, suffixes.per)) suffixes.per.clear();
  }
  if (!suffixes.per.empty()) TrimUnderscore(&suffixes.main);
  if (!suffixes.main.empty()) pieces.push_back(suffixes.main);
  if (!suffixes.per.empty()) pieces.push_back(suffixes.per);
  if (metric.kind == MetricKind::kSum && metric.monotonic) MoveToEnd(&pieces, "total");
  // Only of gauges: many senders count things in the unit 1.
  if (metric.kind == MetricKind::kGauge && metric.unit == "1") MoveToEnd(&pieces, "ratio");
  return Join(pieces, "_");
}

// Takes a suffix away together with the character before it.
void TrimSuffix(std::string* name, std::string_view suffix) {
  if (name->size() > suffix.size() + 1 && name->ends_with(suffix)) {
    name->resize(name->size() - suffix.size() - 1);
  }
}

std::string Utf8WithSuffixes(const Metric& metric) {
  std::string name(metric.name);
  const bool ratio = metric.kind == MetricKind::kGauge && metric.unit == "1";
  const bool total = metric.kind == MetricKind::kSum && metric.monotonic;
  if (ratio) TrimSuffix(&name, "ratio");
  if (total) TrimSuffix(&name, "total");
  const UnitSuffixes suffixes = SuffixesOf(metric.unit);
  if (!suffixes.per.empty()) TrimSuffix(&name, suffixes.per);
  if (!suffixes.main.empty() && !name.ends_with(suffixes.main)) {
    StrAppend(&name, "_", suffixes.main);
  }
  if (!suffixes.per.empty()) StrAppend(&name, "_", suffixes.per);
  if (total) name.append("_total");
  if (ratio) name.append("_ratio");
  return name;
}

absl::Status CheckName(std::string_view what, std::string_view from, std::string_view to) {
  if (to.empty()) {
    return InvalidArgument("normalization for ", what, " ", Quote(from), " resulted in empty name");
  }
  if (to != from && to.find_first_not_of('_') == std::string_view::npos) {
    return InvalidArgument("normalization for ", what, " ", Quote(from),
                           " resulted in invalid name ", Quote(to));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> MetricName(const Metric& metric, const NameOptions& options) {
  std::string name;
  if (!options.escape) {
    name = options.suffixes ? Utf8WithSuffixes(metric) : std::string(metric.name);
    if (name.empty()) return CheckName("metric", metric.name, name);
    return name;
  }
  name = options.suffixes ? EscapedWithSuffixes(metric) : Join(SplitName(metric.name, true), "_");
  if (!name.empty() && IsDigit(name[0])) name.insert(0, "_");
  const absl::Status checked = CheckName("metric", metric.name, name);
  if (!checked.ok()) return checked;
  return name;
}

absl::StatusOr<std::string> LabelName(std::string_view key, const NameOptions& options) {
  if (key.empty() || !options.escape) {
    if (key.empty()) return CheckName("label name", key, key);
    return std::string(key);
  }
  std::string name;
  for (size_t at = 0; at < key.size();) {
    size_t length;
    DecodeRune(key.substr(at), &length);
    const char c = key[at];
    const bool kept = length == 1 && (IsAlphanumeric(c) || c == '_');
    at += length;
    if (!options.preserve_multiple_underscores && (!kept || c == '_') && !name.empty() &&
        name.back() == '_') {
      continue;
    }
    name.push_back(kept ? c : '_');
  }
  if (IsDigit(name[0])) {
    name.insert(0, "key_");
  } else if (options.underscore_sanitization && name[0] == '_' && !name.starts_with("__")) {
    name.insert(0, "key");
  }
  const absl::Status checked = CheckName("label name", key, name);
  if (!checked.ok()) return checked;
  return name;
}

std::string UnitName(std::string_view unit, const NameOptions& options) {
  UnitSuffixes suffixes = SuffixesOf(unit);
  if (options.escape) {
    suffixes.main = CleanUnit(suffixes.main);
    suffixes.per = CleanUnit(suffixes.per);
  }
  std::string name = suffixes.main;
  if (!name.empty() && !suffixes.per.empty()) name.push_back('_');
  name.append(suffixes.per);
  if (!name.empty() && name[0] == '_') name.erase(0, 1);
  TrimUnderscore(&name);
  return name;
}

}  // namespace narthex::otlp
