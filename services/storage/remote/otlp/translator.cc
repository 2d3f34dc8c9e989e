#include "services/storage/remote/otlp/translator.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/coding.h"
#include "lib/base/float_format.h"
#include "lib/base/status_macros.h"
#include "lib/base/utf8.h"
#include "lib/model/stale.h"
#include "services/storage/remote/otlp/native_histogram.h"

namespace narthex::otlp {
namespace {

using storage_remote::LabelsVerdict;
using storage_remote::WriteColumns;

constexpr std::string_view kServiceName = "service.name";
constexpr std::string_view kServiceNamespace = "service.namespace";
constexpr std::string_view kServiceInstance = "service.instance.id";
constexpr size_t kReasonsMax = 20;
constexpr size_t kExemplarRunesMax = 128;
// Of target_info in one request, from the newest back: two days at half the default lookback.
constexpr int64_t kTargetInfoSamplesMax = 1152;
constexpr uint64_t kNanosPerMilli = 1'000'000;

bool IsIdentifying(std::string_view key) {
  return key == kServiceName || key == kServiceNamespace || key == kServiceInstance;
}

Timestamp MillisOf(uint64_t nanos) { return static_cast<Timestamp>(nanos / kNanosPerMilli); }

MetricType TypeOf(const Metric& metric, bool raw_delta) {
  switch (metric.kind) {
    case MetricKind::kGauge:
      return MetricType::kGauge;
    case MetricKind::kSum:
      if (raw_delta) return MetricType::kUnknown;
      return metric.monotonic ? MetricType::kCounter : MetricType::kGauge;
    case MetricKind::kHistogram:
    case MetricKind::kExponential:
      return raw_delta ? MetricType::kUnknown : MetricType::kHistogram;
    case MetricKind::kSummary:
      return MetricType::kSummary;
    case MetricKind::kNone:
      break;
  }
  return MetricType::kUnknown;
}

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    text.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return text;
}

bool AllZero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

// Of the last attribute with this key; null when there is none.
const Attribute* FindAttribute(std::span<const Attribute> attributes, std::string_view key) {
  const Attribute* found = nullptr;
  for (const Attribute& one : attributes) {
    if (one.key == key) found = &one;
  }
  return found;
}

}  // namespace

void TranslationReport::Reject(uint64_t points, std::string reason) {
  rejected_points += points;
  if (reasons.size() < kReasonsMax) reasons.push_back(std::move(reason));
}

void Translator::Translate(const Request& request, const Settings& settings, uint64_t seed,
                           WriteColumns* columns, TranslationReport* report) {
  request_ = &request;
  settings_ = &settings;
  seed_ = seed;
  columns_ = columns;
  report_ = report;
  columns->Clear();
  label_names_.clear();
  texts_.clear();
  for (const Resource& resource : request.resources) TranslateResource(resource);
}

void Translator::TranslateResource(const Resource& resource) {
  earliest_ns_ = std::numeric_limits<uint64_t>::max();
  latest_ns_ = 0;
  for (const Scope& scope : Request::Of(request_->scopes, resource.scopes)) {
    for (const Metric& metric : Request::Of(request_->metrics, scope.metrics)) {
      TranslateMetric(resource, scope, metric);
    }
  }
  if (latest_ns_ > 0) AddTargetInfo(resource);
}

void Translator::TranslateMetric(const Resource& resource, const Scope& scope,
                                 const Metric& metric) {
  const std::span<const Point> points = Request::Of(request_->points, metric.points);
  // Upstream only says so in its log: a metric without points is nothing wrong.
  if (points.empty()) return;
  for (const Point& point : points) {
    earliest_ns_ = std::min(earliest_ns_, point.time_ns);
    latest_ns_ = std::max(latest_ns_, point.time_ns);
  }
  if (!CheckTemporality(metric)) {
    report_->Reject(points.size(), StrCat("invalid temporality and type combination for metric ",
                                          Quote(metric.name)));
    return;
  }
  absl::StatusOr<std::string> name = MetricName(metric, settings_->names);
  if (!name.ok()) {
    report_->Reject(points.size(), std::string(Message(name.status())));
    return;
  }
  const bool raw_delta = metric.temporality == Temporality::kDelta;
  name_ = Keep(std::move(name).value());
  unit_ = Keep(UnitName(metric.unit, settings_->names));
  help_ = metric.description;
  type_ = TypeOf(metric, raw_delta);
  for (const Point& point : points) {
    if (point.dropped) continue;
    if (!MakePointLabels(resource, scope, point)) continue;
    switch (metric.kind) {
      case MetricKind::kGauge:
      case MetricKind::kSum:
        AddNumber(metric, point);
        break;
      case MetricKind::kHistogram:
        if (settings_->convert_histograms_to_nhcb) {
          AddNativeHistogram(metric, point);
        } else {
          AddClassicHistogram(point);
        }
        break;
      case MetricKind::kExponential:
        AddNativeHistogram(metric, point);
        break;
      case MetricKind::kSummary:
        AddSummary(point);
        break;
      case MetricKind::kNone:
        break;
    }
  }
}

bool Translator::CheckTemporality(const Metric& metric) {
  switch (metric.kind) {
    case MetricKind::kGauge:
    case MetricKind::kSummary:
      return true;
    case MetricKind::kSum:
    case MetricKind::kHistogram:
    case MetricKind::kExponential:
      if (metric.temporality == Temporality::kCumulative) return true;
      return metric.temporality == Temporality::kDelta &&
             settings_->delta == Settings::Delta::kAsTheyAre;
    case MetricKind::kNone:
      break;
  }
  return false;
}

std::string_view Translator::Find(std::string_view name) const {
  for (const Pair& label : labels_) {
    if (label.first == name) return label.second;
  }
  return {};
}

void Translator::Set(std::string_view name, std::string_view value) {
  for (Pair& label : labels_) {
    if (label.first != name) continue;
    label.second = value;
    return;
  }
  labels_.emplace_back(name, value);
}

std::string_view Translator::LabelNameOf(std::string_view key, absl::Status* status) {
  const auto known = label_names_.find(key);
  if (known != label_names_.end()) return known->second;
  absl::StatusOr<std::string> name = LabelName(key, settings_->names);
  if (!name.ok()) {
    *status = name.status();
    return {};
  }
  const std::string_view kept = *name == key ? key : Keep(std::move(name).value());
  label_names_.emplace(key, kept);
  return kept;
}

bool Translator::MakePointLabels(const Resource& resource, const Scope& scope, const Point& point) {
  labels_.clear();
  const std::span<const Attribute> attributes = Request::Of(request_->attributes, point.attributes);
  // In order of the keys, so that values of keys that become one are joined in a fixed order.
  own_.assign(attributes.begin(), attributes.end());
  std::stable_sort(own_.begin(), own_.end(),
                   [](const Attribute& a, const Attribute& b) { return a.key < b.key; });
  for (const Attribute& one : own_) {
    if (!SetEscaped(one.key, one.value, settings_->names.escape)) return false;
  }
  PromoteResource(resource);
  if (settings_->promote_scope_metadata && !scope.name.empty() && !PromoteScope(scope)) {
    return false;
  }
  SetIdentity(resource);
  if (settings_->type_and_unit_labels) {
    if (type_ != MetricType::kUnknown) Set("__type__", MetricTypeName(type_));
    if (!unit_.empty()) Set("__unit__", unit_);
  }
  return true;
}

bool Translator::SetEscaped(std::string_view key, std::string_view value, bool join) {
  absl::Status status;
  const std::string_view name = LabelNameOf(key, &status);
  if (!status.ok()) {
    report_->Reject(1, std::string(Message(status)));
    return false;
  }
  const std::string_view existing = join ? Find(name) : std::string_view();
  Set(name, existing.empty() ? value : Keep(StrCat(existing, ";", value)));
  return true;
}

void Translator::PromoteResource(const Resource& resource) {
  if (!settings_->promote_all_resource_attributes && settings_->resource_attributes.empty()) {
    return;
  }
  for (const Attribute& one : Request::Of(request_->attributes, resource.attributes)) {
    const bool named = settings_->resource_attributes.contains(one.key);
    if (named == settings_->promote_all_resource_attributes) continue;
    absl::Status status;
    const std::string_view name = LabelNameOf(one.key, &status);
    // What the point says itself stands.
    if (status.ok() && Find(name).empty()) Set(name, one.value);
  }
}

bool Translator::PromoteScope(const Scope& scope) {
  for (const Attribute& one : Request::Of(request_->attributes, scope.attributes)) {
    if (!SetEscaped(Keep(StrCat("otel_scope_", one.key)), one.value, false)) return false;
  }
  Set("otel_scope_name", scope.name);
  Set("otel_scope_version", scope.version);
  Set("otel_scope_schema_url", scope.schema_url);
  return true;
}

void Translator::SetIdentity(const Resource& resource) {
  const std::span<const Attribute> attributes =
      Request::Of(request_->attributes, resource.attributes);
  const Attribute* const service = FindAttribute(attributes, kServiceName);
  const Attribute* const space = FindAttribute(attributes, kServiceNamespace);
  const Attribute* const instance = FindAttribute(attributes, kServiceInstance);
  if (service != nullptr) {
    Set("job", space == nullptr ? service->value : Keep(StrCat(space->value, "/", service->value)));
  }
  if (instance != nullptr) Set("instance", instance->value);
}

void Translator::StartSeries(std::string_view name, Pair extra) {
  sorted_.assign(labels_.begin(), labels_.end());
  const auto set = [this](std::string_view label, std::string_view value) {
    std::erase_if(sorted_, [label](const Pair& pair) { return pair.first == label; });
    sorted_.emplace_back(label, value);
  };
  if (!extra.first.empty()) set(extra.first, extra.second);
  set(kMetricName, name);
  std::sort(sorted_.begin(), sorted_.end());
  // Names and values one after another: what names the series, and what its labels are made of.
  std::string source;
  for (const Pair& label : sorted_) {
    AppendLengthPrefixed(&source, label.first);
    AppendLengthPrefixed(&source, label.second);
  }
  const std::string_view kept = Keep(std::move(source));
  columns_->StartSeries(FastHash128(kept, seed_), kept);
}

LabelsVerdict Translator::MakeLabels(std::string_view source, std::vector<LabelView>* labels) {
  labels->clear();
  ByteReader reader(source);
  while (!reader.done()) {
    LabelView label;
    if (!reader.ReadLengthPrefixed(&label.name) || !reader.ReadLengthPrefixed(&label.value)) {
      return LabelsVerdict::kMalformed;
    }
    labels->push_back(label);
  }
  return storage_remote::FinishLabels(labels);
}

void Translator::AddSample(const Point& point, double value) {
  columns_->AddSample(MillisOf(point.time_ns), point.no_recorded_value() ? StaleNan() : value);
  columns_->SetStartTimestamp(columns_->entries() - 1, MillisOf(point.start_ns));
  AddMetadata();
}

void Translator::AddMetadata() {
  columns_->batch.metadata.push_back({columns_->entries() - 1, type_, help_, unit_});
}

void Translator::AddNumber(const Metric& metric, const Point& point) {
  StartSeries(name_);
  AddSample(point, point.value);
  if (metric.kind == MetricKind::kSum) {
    AddExemplars(*request_, Request::Of(request_->exemplars, point.exemplars));
  }
}

void Translator::AddClassicHistogram(const Point& point) {
  if (point.has_sum) {
    StartSeries(Keep(StrCat(name_, "_sum")));
    AddSample(point, point.sum);
  }
  StartSeries(Keep(StrCat(name_, "_count")));
  AddSample(point, static_cast<double>(point.count));
  const std::span<const double> bounds = Request::Of(request_->reals, point.bounds);
  const std::span<const uint64_t> counts = Request::Of(request_->counts, point.bucket_counts);
  const std::span<const Exemplar> all = Request::Of(request_->exemplars, point.exemplars);
  std::vector<Exemplar> exemplars(all.begin(), all.end());
  std::stable_sort(exemplars.begin(), exemplars.end(),
                   [](const Exemplar& a, const Exemplar& b) { return a.value < b.value; });
  size_t next = 0;
  const auto up_to = [&](double bound) {
    const size_t begin = next;
    while (next < exemplars.size() && exemplars[next].value <= bound) ++next;
    return std::span<const Exemplar>(exemplars).subspan(begin, next - begin);
  };
  const std::string_view bucket = Keep(StrCat(name_, "_bucket"));
  uint64_t cumulative = 0;
  for (size_t i = 0; i < bounds.size() && i < counts.size(); ++i) {
    cumulative += counts[i];
    StartSeries(bucket, {"le", Keep(FormatFloat(bounds[i]))});
    AddSample(point, static_cast<double>(cumulative));
    AddExemplars(*request_, up_to(bounds[i]));
  }
  StartSeries(bucket, {"le", "+Inf"});
  AddSample(point, static_cast<double>(point.count));
  AddExemplars(*request_, std::span<const Exemplar>(exemplars).subspan(next));
}

void Translator::AddNativeHistogram(const Metric& metric, const Point& point) {
  storage::AppendBatch::HistogramEntry entry;
  if (metric.kind == MetricKind::kExponential) {
    absl::StatusOr<Histogram> histogram = FromExponential(*request_, point);
    if (!histogram.ok()) {
      report_->Reject(1, std::string(Message(histogram.status())));
      return;
    }
    entry.histogram = std::move(histogram).value();
  } else {
    entry.histogram = FromExplicit(*request_, point);
  }
  // Differences go up and down.
  if (metric.temporality == Temporality::kDelta) {
    entry.histogram.reset_hint = CounterResetHint::kGauge;
  }
  StartSeries(name_);
  entry.index = columns_->AddPlace(MillisOf(point.time_ns));
  columns_->SetStartTimestamp(entry.index, MillisOf(point.start_ns));
  columns_->batch.histograms.push_back(std::move(entry));
  AddMetadata();
  AddExemplars(*request_, Request::Of(request_->exemplars, point.exemplars));
}

void Translator::AddSummary(const Point& point) {
  StartSeries(Keep(StrCat(name_, "_sum")));
  AddSample(point, point.sum);
  StartSeries(Keep(StrCat(name_, "_count")));
  AddSample(point, static_cast<double>(point.count));
  const std::span<const double> pairs = Request::Of(request_->reals, point.quantiles);
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    StartSeries(name_, {"quantile", Keep(FormatFloat(pairs[i]))});
    AddSample(point, pairs[i + 1]);
  }
}

void Translator::AddExemplars(const Request& request, std::span<const Exemplar> exemplars) {
  for (const Exemplar& exemplar : exemplars) {
    if (!exemplar.has_value) continue;
    storage::AppendBatch::ExemplarEntry entry;
    entry.timestamp = MillisOf(exemplar.time_ns);
    entry.value = exemplar.value;
    size_t runes = 0;
    const auto add = [&](std::string_view name, std::string_view value) {
      entry.labels.push_back({name, value});
      runes += RuneCount(name) + RuneCount(value);
    };
    if (!AllZero(exemplar.trace_id)) add("trace_id", Keep(Hex(exemplar.trace_id)));
    if (!AllZero(exemplar.span_id)) add("span_id", Keep(Hex(exemplar.span_id)));
    const size_t own = entry.labels.size();
    for (const Attribute& one : Request::Of(request.attributes, exemplar.attributes)) {
      add(one.key, one.value);
    }
    // What would make the whole too long is left out, not the exemplar.
    if (runes > kExemplarRunesMax) entry.labels.resize(own);
    const LabelsVerdict verdict = storage_remote::FinishLabels(&entry.labels);
    if (verdict != LabelsVerdict::kGood && verdict != LabelsVerdict::kNoName) continue;
    entry.index = columns_->AnyPlace();
    columns_->batch.exemplars.push_back(std::move(entry));
  }
}

void Translator::AddTargetInfo(const Resource& resource) {
  const std::span<const Attribute> attributes =
      Request::Of(request_->attributes, resource.attributes);
  const bool says_more = std::any_of(attributes.begin(), attributes.end(),
                                     [](const Attribute& one) { return !IsIdentifying(one.key); });
  if (!says_more) return;
  labels_.clear();
  own_.assign(attributes.begin(), attributes.end());
  std::stable_sort(own_.begin(), own_.end(),
                   [](const Attribute& a, const Attribute& b) { return a.key < b.key; });
  for (const Attribute& one : own_) {
    if (!settings_->keep_identifying_resource_attributes && IsIdentifying(one.key)) continue;
    if (!SetEscaped(one.key, one.value, settings_->names.escape)) return;
  }
  SetIdentity(resource);
  if (Find("job").empty() && Find("instance").empty()) return;
  const Timestamp last = MillisOf(latest_ns_);
  const int64_t step = std::max<int64_t>(1, ToMillis(settings_->lookback_delta) / 2);
  Timestamp at = MillisOf(earliest_ns_);
  // Whole steps, and the two ends.
  const int64_t wanted = (last - at) / step + 2;
  if (wanted > kTargetInfoSamplesMax) at += (wanted - kTargetInfoSamplesMax) * step;
  name_ = "target_info";
  unit_ = {};
  help_ = "Target metadata";
  type_ = MetricType::kGauge;
  StartSeries(name_);
  for (; at < last; at += step) columns_->AddSample(at, 1);
  columns_->AddSample(last, 1);
  AddMetadata();
}

}  // namespace narthex::otlp
