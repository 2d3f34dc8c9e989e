#include "services/storage/remote/write_columns.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/labels/selector_format.h"

namespace narthex::storage_remote {

void WriteColumns::Clear() {
  series.clear();
  problems.clear();
  batch.base_timestamp = 0;
  batch.refs.clear();
  batch.values.clear();
  batch.timestamps.clear();
  batch.start_timestamps.clear();
  batch.definitions.clear();
  batch.histograms.clear();
  batch.exemplars.clear();
  batch.metadata.clear();
  batch.without_sample.clear();
}

size_t WriteColumns::AnyPlace() {
  NARTHEX_DCHECK(!series.empty());
  if (series.back().begin < entries()) return series.back().begin;
  batch.without_sample.push_back(entries());
  return AddPlace(0);
}

void WriteColumns::SetStartTimestamp(size_t index, Timestamp start) {
  if (start == 0) return;
  batch.start_timestamps.resize(entries(), 0);
  batch.start_timestamps[index] = start;
}

size_t WriteColumns::SeriesOf(size_t entry) const {
  const auto after =
      std::upper_bound(series.begin(), series.end(), entry,
                       [](size_t index, const Series& one) { return index < one.begin; });
  NARTHEX_CHECK(after != series.begin());
  return static_cast<size_t>(after - series.begin()) - 1;
}

void WriteColumns::DropCurrent() {
  const size_t begin = series.back().begin;
  batch.values.resize(begin);
  batch.timestamps.resize(begin);
  if (batch.start_timestamps.size() > begin) batch.start_timestamps.resize(begin);
  const auto drop = [begin](auto* list) {
    while (!list->empty() && list->back().index >= begin) list->pop_back();
  };
  drop(&batch.histograms);
  drop(&batch.exemplars);
  drop(&batch.metadata);
  while (!batch.without_sample.empty() && batch.without_sample.back() >= begin) {
    batch.without_sample.pop_back();
  }
}

void WriteColumns::DropEntries(const std::vector<bool>& dropped) {
  NARTHEX_CHECK(dropped.size() == entries());
  // moved[i]: how many entries are kept before entry i.
  std::vector<size_t> moved(dropped.size() + 1, 0);
  for (size_t i = 0; i < dropped.size(); ++i) moved[i + 1] = moved[i] + (dropped[i] ? 0 : 1);
  const auto compact = [&](auto* column) {
    if (column->empty()) return;
    column->resize(dropped.size());  // Start timestamps may be fewer.
    for (size_t i = 0; i < dropped.size(); ++i) {
      if (!dropped[i]) (*column)[moved[i]] = (*column)[i];
    }
    column->resize(moved.back());
  };
  compact(&batch.refs);
  compact(&batch.values);
  compact(&batch.timestamps);
  compact(&batch.start_timestamps);
  const auto move_places = [&](auto* list) {
    std::erase_if(*list, [&](const auto& one) { return dropped[one.index]; });
    for (auto& one : *list) one.index = moved[one.index];
  };
  move_places(&batch.histograms);
  move_places(&batch.exemplars);
  move_places(&batch.metadata);
  std::erase_if(batch.without_sample, [&](size_t index) { return dropped[index]; });
  for (size_t& index : batch.without_sample) index = moved[index];
  for (Series& one : series) one.begin = moved[one.begin];
}

LabelsVerdict FinishLabels(std::vector<LabelView>* labels) {
  std::erase_if(*labels, [](const LabelView& label) { return label.value.empty(); });
  const auto by_name = [](const LabelView& a, const LabelView& b) { return a.name < b.name; };
  if (!std::is_sorted(labels->begin(), labels->end(), by_name)) {
    std::stable_sort(labels->begin(), labels->end(), by_name);
  }
  bool named = false;
  for (size_t i = 0; i < labels->size(); ++i) {
    const LabelView& label = (*labels)[i];
    if (label.name.empty() || !IsValidUtf8(label.name) || !IsValidUtf8(label.value)) {
      return LabelsVerdict::kInvalid;
    }
    if (i > 0 && (*labels)[i - 1].name == label.name) return LabelsVerdict::kDuplicate;
    named = named || label.name == kMetricName;
  }
  return named ? LabelsVerdict::kGood : LabelsVerdict::kNoName;
}

std::string FormatLabels(const std::vector<LabelView>& labels) {
  std::string text = "{";
  for (const LabelView& label : labels) {
    if (text.size() > 1) text.append(", ");
    AppendLabelName(&text, label.name);
    StrAppend(&text, '=', Quote(label.value));
  }
  text.push_back('}');
  return text;
}

}  // namespace narthex::storage_remote
