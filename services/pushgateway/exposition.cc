#include "services/pushgateway/exposition.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/textparse/writer.h"

namespace narthex::pushgateway {
namespace {

using textparse::WriteSample;

LabelPairs With(const LabelPairs& labels, std::string_view name, double value) {
  LabelPairs all = labels;
  all.emplace_back(name, FormatFloatG(value));  // Behind the others, as upstream writes it.
  return all;
}

void WriteMetric(const std::string& name, FamilyType type, const Metric& metric, std::string* out) {
  if (type != FamilyType::kSummary && type != FamilyType::kHistogram) {
    return WriteSample(out, name, metric.labels, metric.value);
  }
  const double count = static_cast<double>(metric.sample_count.value_or(0));
  for (const Quantile& quantile : metric.quantiles) {
    WriteSample(out, name, With(metric.labels, "quantile", quantile.quantile), quantile.value);
  }
  if (type == FamilyType::kHistogram) {
    const std::string bucket_name = StrCat(name, "_bucket");
    bool has_infinity = false;
    for (const Bucket& bucket : metric.buckets) {
      has_infinity = has_infinity || (std::isinf(bucket.upper_bound) && bucket.upper_bound > 0);
      WriteSample(out, bucket_name, With(metric.labels, "le", bucket.upper_bound),
                  static_cast<double>(bucket.cumulative_count));
    }
    if (!has_infinity) {
      WriteSample(out, bucket_name,
                  With(metric.labels, "le", std::numeric_limits<double>::infinity()), count);
    }
  }
  WriteSample(out, StrCat(name, "_sum"), metric.labels, metric.sample_sum.value_or(0));
  WriteSample(out, StrCat(name, "_count"), metric.labels, count);
}

void WritePushedMetrics(const MergedFamily& family, FamilyType type, std::string* out) {
  std::vector<const Metric*> metrics;
  for (const auto& part : family.parts) {
    if (part->type != type) continue;
    for (const Metric& metric : part->metrics) metrics.push_back(&metric);
  }
  std::stable_sort(metrics.begin(), metrics.end(),
                   [](const Metric* a, const Metric* b) { return MetricBefore(*a, *b); });
  for (const Metric* metric : metrics) WriteMetric(family.name, type, *metric, out);
}

void WritePushedFamily(const MergedFamily& family, std::string* out) {
  for (const auto& part : family.parts) {
    if (part->help.empty()) continue;
    textparse::WriteHelp(out, family.name, part->help);
    break;
  }
  const FamilyType type = family.parts.front()->type;
  textparse::WriteType(out, family.name, FamilyTypeName(type));
  WritePushedMetrics(family, type, out);
}

}  // namespace

void WriteExposition(const OwnFamilies& own, const std::vector<MergedFamily>& pushed,
                     std::string* out) {
  auto next_own = own.families().begin();
  auto next_pushed = pushed.begin();
  while (next_own != own.families().end() || next_pushed != pushed.end()) {
    const bool take_own = next_own != own.families().end() &&
                          (next_pushed == pushed.end() || next_own->name <= next_pushed->name);
    if (!take_own) {
      WritePushedFamily(*next_pushed++, out);
      continue;
    }
    textparse::WriteFamilies(out, {*next_own});
    if (next_pushed != pushed.end() && next_pushed->name == next_own->name) {
      WritePushedMetrics(*next_pushed++, *own.TypeOf(next_own->name), out);
    }
    ++next_own;
  }
}

}  // namespace narthex::pushgateway
