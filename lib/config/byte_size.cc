#include "lib/config/byte_size.h"

#include <cmath>
#include <optional>

#include "lib/base/strings.h"

namespace narthex::config {
namespace {

constexpr std::string_view kPrefixes = "KMGTPE";

// The bytes of "B", "KiB" or "KB" and so on.
std::optional<double> UnitBytes(std::string_view unit) {
  if (unit == "B") return 1;
  if (unit.empty()) return std::nullopt;
  const size_t power = kPrefixes.find(unit[0]);
  if (power == std::string_view::npos) return std::nullopt;
  unit.remove_prefix(1);
  if (unit != "B" && unit != "iB") return std::nullopt;
  return std::pow(1024.0, static_cast<double>(power + 1));
}

}  // namespace

absl::StatusOr<int64_t> ParseByteSize(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  if (rest.empty()) return InvalidArgument("units: invalid ", text);
  double total = 0;
  while (!rest.empty()) {
    const std::string_view digits = rest.substr(0, rest.find_first_not_of("0123456789."));
    double number = 0;
    if (digits.empty() || !ParseDouble(digits, &number)) {
      return InvalidArgument("units: invalid ", text);
    }
    rest.remove_prefix(digits.size());
    const std::string_view unit = rest.substr(0, rest.find_first_of("0123456789."));
    rest.remove_prefix(unit.size());
    const std::optional<double> bytes = UnitBytes(unit);
    if (!bytes.has_value()) return InvalidArgument("units: unknown unit ", unit, " in ", text);
    total += number * *bytes;
  }
  if (total >= 9.2e18) return InvalidArgument("units: overflow in ", text);
  const int64_t bytes = static_cast<int64_t>(total);
  return negative ? -bytes : bytes;
}

std::string FormatByteSize(int64_t bytes) {
  if (bytes == 0) return "0B";
  std::string out = bytes < 0 ? "-" : "";
  uint64_t rest = bytes < 0 ? ~static_cast<uint64_t>(bytes) + 1 : static_cast<uint64_t>(bytes);
  for (size_t power = kPrefixes.size(); power > 0; --power) {
    const uint64_t unit = uint64_t{1} << (10 * power);
    if (rest < unit) continue;
    StrAppend(&out, rest / unit, kPrefixes[power - 1], "iB");
    rest %= unit;
  }
  if (rest > 0) StrAppend(&out, rest, "B");
  return out;
}

}  // namespace narthex::config
