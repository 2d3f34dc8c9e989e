#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_TRANSLATOR_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_TRANSLATOR_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "lib/base/strings.h"
#include "services/storage/remote/otlp/names.h"
#include "services/storage/remote/otlp/request.h"
#include "services/storage/remote/write_columns.h"

namespace narthex::otlp {

// The otlp section of the configuration, and the feature flags that belong to it.
struct Settings {
  NameOptions names;
  bool promote_all_resource_attributes = false;
  // The promoted ones, or with promote_all the ignored ones.
  absl::flat_hash_set<std::string, StringHash, StringEqual> resource_attributes;
  bool keep_identifying_resource_attributes = false;
  bool convert_histograms_to_nhcb = false;
  bool promote_scope_metadata = false;
  bool type_and_unit_labels = false;
  // What becomes of sums and histograms of delta temporality; DeltaState converts them before they
  // are translated.
  enum class Delta { kRefuse, kToCumulative, kAsTheyAre } delta = Delta::kRefuse;
  // target_info is repeated every half of it.
  absl::Duration lookback_delta = absl::Minutes(5);
};

// What of a request has no place in Prometheus.
struct TranslationReport {
  uint64_t rejected_points = 0;
  std::vector<std::string> reasons;  // The first few.
  void Reject(uint64_t points, std::string reason);
};

// Turns a decoded request into columns. One a request at a time; its memory is reused. The label
// source of the columns it fills. Thread safety: none.
class Translator : public storage_remote::LabelSource {
 public:
  // Fills *columns, and adds to *report. `seed` is the SeriesCache's.
  void Translate(const Request& request, const Settings& settings, uint64_t seed,
                 storage_remote::WriteColumns* columns, TranslationReport* report);

  storage_remote::LabelsVerdict MakeLabels(std::string_view source,
                                           std::vector<LabelView>* labels) override;

 private:
  using Pair = std::pair<std::string_view, std::string_view>;

  void TranslateResource(const Resource& resource);
  void TranslateMetric(const Resource& resource, const Scope& scope, const Metric& metric);
  bool CheckTemporality(const Metric& metric);
  void AddNumber(const Metric& metric, const Point& point);
  void AddClassicHistogram(const Point& point);
  void AddNativeHistogram(const Metric& metric, const Point& point);
  void AddSummary(const Point& point);
  void AddTargetInfo(const Resource& resource);
  // The labels of a point less the name, into labels_. False, with a reason, where a name is none.
  bool MakePointLabels(const Resource& resource, const Scope& scope, const Point& point);
  bool SetEscaped(std::string_view key, std::string_view value, bool join);
  void SetIdentity(const Resource& resource);
  void PromoteResource(const Resource& resource);
  bool PromoteScope(const Scope& scope);
  std::string_view Find(std::string_view name) const;
  void Set(std::string_view name, std::string_view value);
  // Starts the series of labels_ and `name`, and of one more label where `extra` has a name.
  void StartSeries(std::string_view name, Pair extra = {});
  void AddSample(const Point& point, double value);
  void AddExemplars(const Request& request, std::span<const Exemplar> exemplars);
  void AddMetadata();
  std::string_view Keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  // A label name for a key, made once a request.
  std::string_view LabelNameOf(std::string_view key, absl::Status* status);

  // Of the request in work.
  const Request* request_ = nullptr;
  const Settings* settings_ = nullptr;
  uint64_t seed_ = 0;
  storage_remote::WriteColumns* columns_ = nullptr;
  TranslationReport* report_ = nullptr;

  // Of the metric and point in work.
  std::string_view name_;
  std::string_view unit_;
  std::string_view help_;
  MetricType type_ = MetricType::kUnknown;
  std::vector<Pair> labels_;    // Unsorted, names unique.
  std::vector<Pair> sorted_;    // Of StartSeries().
  std::vector<Attribute> own_;  // A point's attributes in order.
  uint64_t earliest_ns_ = 0;    // Of the resource's points.
  uint64_t latest_ns_ = 0;

  absl::flat_hash_map<std::string_view, std::string_view> label_names_;
  std::deque<std::string> texts_;
};

}  // namespace narthex::otlp

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_TRANSLATOR_H_
