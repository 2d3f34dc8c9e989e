#include "lib/textparse/writer.h"

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/labels/selector_format.h"

namespace narthex::textparse {
namespace {

void AppendEscaped(std::string* out, std::string_view text, bool escape_quote) {
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '\\' && c != '\n' && !(c == '"' && escape_quote)) continue;
    out->append(text.substr(start, i - start));
    out->push_back('\\');
    out->push_back(c == '\n' ? 'n' : c);
    start = i + 1;
  }
  out->append(text.substr(start));
}

// A name as it stands in a comment or in braces.
void AppendName(std::string* out, std::string_view name, bool legacy) {
  if (legacy) {
    out->append(name);
    return;
  }
  out->push_back('"');
  AppendEscaped(out, name, true);
  out->push_back('"');
}

}  // namespace

void WriteHelp(std::string* out, std::string_view name, std::string_view help) {
  if (help.empty()) return;
  out->append("# HELP ");
  AppendName(out, name, IsLegacyMetricName(name));
  out->push_back(' ');
  AppendEscaped(out, help, false);
  out->push_back('\n');
}

void WriteType(std::string* out, std::string_view name, std::string_view type) {
  out->append("# TYPE ");
  AppendName(out, name, IsLegacyMetricName(name));
  StrAppend(out, ' ', type, '\n');
}

void WriteSample(std::string* out, std::string_view name,
                 const std::vector<std::pair<std::string, std::string>>& labels, double value,
                 std::optional<Timestamp> timestamp) {
  const bool legacy = IsLegacyMetricName(name);
  if (legacy) out->append(name);
  if (!legacy || !labels.empty()) {
    out->push_back('{');
    bool first = true;
    if (!legacy) {
      AppendName(out, name, legacy);
      first = false;
    }
    for (const auto& [label, label_value] : labels) {
      if (!first) out->push_back(',');
      first = false;
      AppendName(out, label, IsLegacyLabelName(label));
      out->append("=\"");
      AppendEscaped(out, label_value, true);
      out->push_back('"');
    }
    out->push_back('}');
  }
  out->push_back(' ');
  AppendFloatG(out, value == 0 ? 0 : value);  // Upstream's writer knows no negative zero.
  if (timestamp) StrAppend(out, ' ', *timestamp);
  out->push_back('\n');
}

void WriteFamilies(std::string* out, const std::vector<metrics::CollectedFamily>& families) {
  for (const metrics::CollectedFamily& family : families) {
    WriteHelp(out, family.name, family.help);
    WriteType(out, family.name, family.type);
    for (const metrics::CollectedSample& sample : family.samples) {
      WriteSample(out, sample.name, sample.labels, sample.value);
    }
  }
}

}  // namespace narthex::textparse
