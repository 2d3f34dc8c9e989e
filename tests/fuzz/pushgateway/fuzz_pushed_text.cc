// Any bytes as a pushed body: what is read, written out by the exposition and read again is the
// same, less timestamps.
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "services/pushgateway/exposition.h"
#include "services/pushgateway/text_parser.h"

namespace {

std::string Write(const narthex::pushgateway::FamilyMap& families) {
  std::vector<narthex::pushgateway::MergedFamily> merged;
  for (const auto& entry : families) {
    merged.push_back(
        {entry.first, {std::make_shared<const narthex::pushgateway::MetricFamily>(entry.second)}});
  }
  std::string out;
  WriteExposition(narthex::pushgateway::OwnFamilies({}), merged, &out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto families = narthex::pushgateway::ParsePushedText(bytes);
  if (!families.ok()) return 0;
  const std::string text = Write(*families);
  // Names that look like parts of another family are read as such the second time; the store
  // refuses them.
  for (const auto& entry : *families) {
    for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
      if (entry.first.ends_with(suffix)) return 0;
    }
    for (const auto& metric : entry.second.metrics) {
      for (const auto& label : metric.labels) {
        if (label.first == "le" || label.first == "quantile") return 0;
      }
      for (const auto& quantile : metric.quantiles) {
        if (std::isnan(quantile.quantile)) return 0;
      }
    }
  }
  const auto again = narthex::pushgateway::ParsePushedText(text);
  NARTHEX_CHECK(again.ok());
  NARTHEX_CHECK(Write(*again) == text);
  return 0;
}
