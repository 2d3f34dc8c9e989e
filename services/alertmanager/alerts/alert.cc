#include "services/alertmanager/alerts/alert.h"

#include <algorithm>

#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace narthex::alerts {

Alert Merge(const Alert& a, const Alert& b, absl::Time now) {
  const Alert& older = b.updated_at < a.updated_at ? b : a;
  const Alert& younger = b.updated_at < a.updated_at ? a : b;
  Alert merged = younger;
  merged.starts_at = std::min(older.starts_at, younger.starts_at);
  if (younger.ResolvedAt(now)) {
    // Of two ends in the past the later one wins.
    if (older.ResolvedAt(now)) merged.ends_at = std::max(older.ends_at, younger.ends_at);
  } else if (older.ends_at > younger.ends_at && !older.timeout) {
    // An end that somebody stated rules over an earlier one.
    merged.ends_at = older.ends_at;
  }
  return merged;
}

std::string FingerprintText(uint64_t fingerprint) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (size_t i = 16; i-- > 0; fingerprint >>= 4U) out[i] = kDigits[fingerprint & 15U];
  return out;
}

uint64_t AlertHash(const Labels& labels) {
  std::string bytes;
  for (const LabelView label : labels) {
    bytes.append(label.name);
    bytes.push_back('\xff');
    bytes.append(label.value);
    bytes.push_back('\xff');
  }
  return StableHash(bytes);
}

std::string LabelSetText(const Labels& labels) {
  std::string out = "{";
  for (const LabelView label : labels) {
    if (out.size() > 1) out.append(", ");
    StrAppend(&out, label.name, "=", Quote(label.value));
  }
  out.push_back('}');
  return out;
}

bool LabelSetLess(const Labels& a, const Labels& b) {
  if (a.size() != b.size()) return a.size() < b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    // The set that lacks the smallest name of the two comes first.
    if (a[i].name != b[i].name) return a[i].name > b[i].name;
    if (a[i].value != b[i].value) return a[i].value < b[i].value;
  }
  return false;
}

void SortForNotification(std::vector<AlertPtr>* alerts) {
  std::stable_sort(alerts->begin(), alerts->end(), [](const AlertPtr& a, const AlertPtr& b) {
    for (const std::string_view name : {"job", "instance"}) {
      const bool has_a = a->labels.Has(name);
      const bool has_b = b->labels.Has(name);
      if (!has_a && !has_b) continue;
      if (has_a != has_b) return has_a;
      const std::string_view value_a = a->labels.Get(name);
      const std::string_view value_b = b->labels.Get(name);
      if (value_a != value_b) return value_a < value_b;
    }
    return LabelSetLess(a->labels, b->labels);
  });
}

}  // namespace narthex::alerts
