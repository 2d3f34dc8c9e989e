#include "services/pushgateway/consistency.h"

#include <algorithm>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "services/pushgateway/grouping_key.h"

namespace narthex::pushgateway {
namespace {

// A push that is wrong throughout need not be answered with a line for each of its series.
constexpr size_t kErrorsMax = 50;

FamilyType TypeOfCollected(std::string_view name) {
  for (const FamilyType type :
       {FamilyType::kCounter, FamilyType::kGauge, FamilyType::kSummary, FamilyType::kHistogram}) {
    if (FamilyTypeName(type) == name) return type;
  }
  return FamilyType::kUntyped;
}

bool HasParts(FamilyType type) {
  return type == FamilyType::kSummary || type == FamilyType::kHistogram;
}

}  // namespace

uint64_t SeriesHash(std::string_view family, const LabelPairs& labels) {
  std::string key = StrCat(family, '\xff');
  for (const auto& label : labels) StrAppend(&key, label.first, '\xff', label.second, '\xff');
  return StableHash(key);
}

OwnFamilies::OwnFamilies(std::vector<metrics::CollectedFamily> families)
    : families_(std::move(families)) {
  std::sort(families_.begin(), families_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

const metrics::CollectedFamily* OwnFamilies::Find(std::string_view name) const {
  const auto found = std::lower_bound(
      families_.begin(), families_.end(), name,
      [](const metrics::CollectedFamily& family, std::string_view n) { return family.name < n; });
  return found != families_.end() && found->name == name ? &*found : nullptr;
}

std::optional<FamilyType> OwnFamilies::TypeOf(std::string_view name) const {
  const metrics::CollectedFamily* family = Find(name);
  if (family == nullptr) return std::nullopt;
  return TypeOfCollected(family->type);
}

bool OwnFamilies::HasSeries(std::string_view family, const LabelPairs& labels) const {
  const metrics::CollectedFamily* own = Find(family);
  if (own == nullptr) return false;
  return std::any_of(own->samples.begin(), own->samples.end(), [&labels](const auto& sample) {
    LabelPairs own_labels = sample.labels;
    // A histogram or summary is one metric, whatever its series.
    std::erase_if(own_labels, [](const auto& label) {
      return label.first == "le" || label.first == "quantile";
    });
    std::sort(own_labels.begin(), own_labels.end());
    return own_labels == labels;
  });
}

ConsistencyCheck::ConsistencyCheck(const OwnFamilies* own, Existing existing)
    : own_(own), existing_(std::move(existing)) {}

std::optional<FamilyType> ConsistencyCheck::TypeOf(std::string_view name) const {
  if (const auto own = own_->TypeOf(name)) return own;
  if (const auto existing = existing_.type_of(name)) return existing;
  const auto added = added_types_.find(name);
  if (added != added_types_.end()) return added->second;
  return std::nullopt;
}

void ConsistencyCheck::Add(const MetricFamily& family) {
  if (errors_.size() >= kErrorsMax) return;
  if (const auto own = own_->TypeOf(family.name); own.has_value() && *own != family.type) {
    errors_.push_back(StrCat("gathered metric family ", family.name, " has type ",
                             FamilyTypeUpperName(family.type), " but should have ",
                             FamilyTypeUpperName(*own)));
    return;
  }
  const std::optional<FamilyType> known = TypeOf(family.name);
  if (!known.has_value()) {
    std::string collision = SuffixCollision(family);
    if (!collision.empty()) {
      errors_.push_back(std::move(collision));
      return;
    }
    added_types_[family.name] = family.type;
  }
  for (const Metric& metric : family.metrics) {
    std::string error = MetricError(family, known.value_or(family.type), metric);
    if (!error.empty() && errors_.size() < kErrorsMax) errors_.push_back(std::move(error));
  }
}

std::string ConsistencyCheck::SuffixCollision(const MetricFamily& family) const {
  const std::string_view name = family.name;
  for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
    if (!name.ends_with(suffix) || name.size() == suffix.size()) continue;
    const std::string_view stem = name.substr(0, name.size() - suffix.size());
    const std::optional<FamilyType> type = TypeOf(stem);
    const bool collides =
        type == FamilyType::kHistogram || (type == FamilyType::kSummary && suffix != "_bucket");
    if (collides) {
      return StrCat("collected metric named ", Quote(name), " collides with previously collected ",
                    FamilyTypeName(*type), " named ", Quote(stem));
    }
  }
  if (!HasParts(family.type)) return "";
  for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
    const bool is_bucket = suffix == "_bucket";
    if (is_bucket && family.type != FamilyType::kHistogram) continue;
    const std::string part = StrCat(name, suffix);
    if (TypeOf(part).has_value()) {
      return StrCat("collected ", is_bucket ? "histogram" : "histogram or summary", " named ",
                    Quote(name), " collides with previously collected metric named ", Quote(part));
    }
  }
  return "";
}

std::string ConsistencyCheck::MetricError(const MetricFamily& family, FamilyType type,
                                          const Metric& metric) {
  const auto error = [&](const auto&... why) {
    return StrCat("collected metric ", Quote(family.name), " { ", DebugText(metric, family.type),
                  "} ", why...);
  };
  if (type != family.type) return error("is not a ", FamilyTypeUpperName(type));
  std::string_view previous;
  for (const auto& label : metric.labels) {
    if (label.first == previous) {
      return error("has two or more labels with the same name: ", label.first);
    }
    if (!IsProperLabelName(label.first)) {
      return error("has a label with an invalid name: ", label.first);
    }
    if (type == FamilyType::kSummary && label.first == "quantile") {
      return error("must not have an explicit \"quantile\" label");
    }
    if (!IsValidUtf8(label.second)) {
      return error("has a label named ", Quote(label.first),
                   " whose value is not utf8: ", Quote(label.second));
    }
    previous = label.first;
  }
  const uint64_t hash = SeriesHash(family.name, metric.labels);
  if (!added_series_.insert(hash).second || existing_.has_series(hash) ||
      own_->HasSeries(family.name, metric.labels)) {
    return error("was collected before with the same name and label values");
  }
  return "";
}

absl::Status ConsistencyCheck::status() const {
  if (errors_.empty()) return absl::OkStatus();
  if (errors_.size() == 1) return InvalidArgument(errors_[0]);
  return InvalidArgument(errors_.size(), " error(s) occurred:\n* ", Join(errors_, "\n* "));
}

}  // namespace narthex::pushgateway
