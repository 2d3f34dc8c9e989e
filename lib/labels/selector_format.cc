#include "lib/labels/selector_format.h"

#include "lib/base/strings.h"

namespace narthex {
namespace {

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool IsLegacyName(std::string_view name, bool colon) {
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (IsAlpha(c) || c == '_' || (colon && c == ':') || (i > 0 && c >= '0' && c <= '9')) continue;
    return false;
  }
  return true;
}

}  // namespace

bool IsLegacyLabelName(std::string_view name) { return IsLegacyName(name, false); }
bool IsLegacyMetricName(std::string_view name) { return IsLegacyName(name, true); }

void AppendLabelName(std::string* out, std::string_view name) {
  if (IsLegacyLabelName(name)) {
    out->append(name);
  } else {
    out->append(Quote(name));
  }
}

}  // namespace narthex
