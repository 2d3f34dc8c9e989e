#include "services/scraper/scrape/scrape_batch.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/relabel/name_validation.h"
#include "lib/relabel/relabel.h"
#include "services/scraper/scrape/limits.h"

namespace narthex::scrape {
namespace {

// How far ahead of the scrape a target's own timestamp may be.
constexpr int64_t kFutureMaxMs = 10 * 60 * 1000;
// Room for what the scrape says about itself.
constexpr size_t kReportSeries = 8;
constexpr std::string_view kExportedPrefix = "exported_";

bool HasValidNames(const Labels& labels, NameValidationScheme scheme) {
  if (!IsValidMetricName(labels.metric_name(), scheme)) return false;
  return std::all_of(labels.begin(), labels.end(), [&](LabelView label) {
    return label.name == kMetricName ||
           (IsValidLabelName(label.name, scheme) && IsValidLabelValue(label.value));
  });
}

}  // namespace

absl::Status BodyReader::Read(textparse::Parser* parser, storage::NumberedBatch* batch,
                              BodyCounts* counts) {
  batch->numbers.reserve(cache_->texts() + kReportSeries);
  batch->values.reserve(cache_->texts() + kReportSeries);
  while (parser->Next()) {
    const textparse::Entry& entry = parser->entry();
    switch (entry.kind) {
      case textparse::EntryKind::kHelp:
        metadata_->SetHelp(entry.name, entry.text);
        continue;
      case textparse::EntryKind::kType:
        metadata_->SetType(entry.name, entry.type);
        continue;
      case textparse::EntryKind::kUnit:
        metadata_->SetUnit(entry.name, entry.text);
        continue;
      case textparse::EntryKind::kSeries:
        break;
    }
    ++counts->samples;
    ScrapeCache::Found found = cache_->Find(entry.name);
    if (found.known == ScrapeCache::Known::kUnknown) [[unlikely]] {
      NARTHEX_ASSIGN_OR_RETURN(found, Learn(entry, parser, counts));
    }
    if (found.known != ScrapeCache::Known::kSeries) continue;
    ++counts->after_relabelling;
    AddSample(entry, found.series, batch, counts);
    if (config_->limits.samples > 0 && batch->size() > config_->limits.samples) {
      counts->sample_limit_exceeded = true;
      batch->numbers.pop_back();  // The rest is only counted.
      batch->values.pop_back();
      if (!batch->timestamps.empty()) batch->timestamps.pop_back();
    }
  }
  NARTHEX_RETURN_IF_ERROR(parser->status());
  return counts->sample_limit_exceeded ? SampleLimitExceeded() : absl::OkStatus();
}

void BodyReader::AddSample(const textparse::Entry& entry, ScrapeCache::SeriesId series,
                           storage::NumberedBatch* batch, BodyCounts* counts) {
  if (entry.has_timestamp && config_->honor_timestamps) {
    if (entry.timestamp > batch->base_timestamp + kFutureMaxMs) {
      ++counts->out_of_bounds;
      return;
    }
    // Several samples of one series are fine here: storage sees to their order.
    cache_->Mark(series, config_->track_timestamps_staleness);
    batch->AddAt(cache_->number(series), entry.timestamp, entry.value);
    return;
  }
  if (!cache_->Mark(series, /*track=*/true)) {
    ++counts->duplicates;
    return;
  }
  batch->Add(cache_->number(series), entry.value);
}

absl::StatusOr<ScrapeCache::Found> BodyReader::Learn(const textparse::Entry& entry,
                                                     textparse::Parser* parser,
                                                     BodyCounts* counts) {
  NARTHEX_ASSIGN_OR_RETURN(const Labels labels, MakeLabels(entry, parser, counts));
  if (counts->sample_limit_exceeded) {
    // Of a body that fails anyway nothing new is kept, whatever its size.
    if (!labels.empty()) ++counts->after_relabelling;
    return ScrapeCache::Found{ScrapeCache::Known::kDropped, 0};
  }
  if (labels.empty()) {
    cache_->AddDropped(entry.name);
    return ScrapeCache::Found{ScrapeCache::Known::kDropped, 0};
  }
  std::optional<ScrapeCache::SeriesId> series = cache_->FindSeries(labels);
  if (!series.has_value()) {
    series = cache_->NewSeries(labels, sink_->AddSeries(labels));
    ++counts->series_added;
  }
  cache_->AddSeries(entry.name, *series);
  return ScrapeCache::Found{ScrapeCache::Known::kSeries, *series};
}

absl::StatusOr<Labels> BodyReader::MakeLabels(const textparse::Entry& entry,
                                              textparse::Parser* parser, BodyCounts* counts) {
  NARTHEX_ASSIGN_OR_RETURN(const Labels exposed, parser->ReadLabels(entry));
  MergeTargetLabels(exposed, *parser);
  if (!relabel::Process(config_->metric_relabel_configs, &builder_)) return Labels();
  Labels labels = builder_.Build();
  if (labels.empty()) return labels;
  if (!labels.Has(kMetricName)) {
    return InvalidArgument("missing metric name (__name__ label)");
  }
  if (!HasValidNames(labels, config_->metric_name_validation_scheme)) {
    return InvalidArgument("invalid metric name or label names: ", labels.ToString());
  }
  const absl::Status limits = CheckLabelLimits(labels, config_->limits);
  if (!limits.ok()) {
    counts->label_limit_exceeded = true;
    return limits;
  }
  return labels;
}

// Leaves the exposed labels and the target's in builder_.
void BodyReader::MergeTargetLabels(const Labels& exposed, const textparse::Parser& parser) {
  builder_.Reset(exposed);
  if (config_->honor_labels) {
    const auto& empty = parser.empty_labels();
    for (const LabelView label : *target_) {
      // An exposed label="" says that the target's is not wanted.
      if (exposed.Has(label.name) ||
          std::find(empty.begin(), empty.end(), label.name) != empty.end()) {
        continue;
      }
      builder_.Set(label.name, label.value);
    }
    return;
  }
  std::vector<LabelView> conflicts;
  for (const LabelView label : *target_) {
    const std::string_view value = exposed.Get(label.name);
    if (!value.empty()) conflicts.push_back({label.name, value});
    builder_.Set(label.name, label.value);
  }
  // Shorter names first, so that "a" becomes exported_a before "exported_a" looks for a place.
  std::stable_sort(conflicts.begin(), conflicts.end(),
                   [](LabelView a, LabelView b) { return a.name.size() < b.name.size(); });
  for (const LabelView label : conflicts) {
    std::string name(label.name);
    do {
      name.insert(0, kExportedPrefix);
    } while (!builder_.Get(name).empty());
    builder_.Set(name, label.value);
  }
}

}  // namespace narthex::scrape
