#ifndef NARTHEX_TESTS_FUZZ_STORAGE_CHECK_COLUMNS_H_
#define NARTHEX_TESTS_FUZZ_STORAGE_CHECK_COLUMNS_H_

#include <vector>

#include "lib/base/check.h"
#include "services/storage/remote/write_columns.h"

namespace narthex::storage_remote {

// What holds for columns whoever filled them.
inline void CheckColumns(const WriteColumns& columns) {
  const storage::AppendBatch& batch = columns.batch;
  const size_t entries = columns.entries();
  NARTHEX_CHECK(batch.timestamps.size() == entries);
  NARTHEX_CHECK(batch.start_timestamps.size() <= entries);
  NARTHEX_CHECK(entries == 0 || !columns.series.empty());
  size_t begin = 0;
  for (const WriteColumns::Series& series : columns.series) {
    NARTHEX_CHECK(series.begin >= begin && series.begin <= entries);
    begin = series.begin;
  }
  const auto check_list = [entries](const auto& list, bool once) {
    for (size_t i = 0; i < list.size(); ++i) {
      NARTHEX_CHECK(list[i].index < entries);
      if (i > 0) NARTHEX_CHECK(list[i].index >= list[i - 1].index + (once ? 1 : 0));
    }
  };
  check_list(batch.histograms, true);
  check_list(batch.exemplars, false);
  check_list(batch.metadata, true);
  for (size_t i = 0; i < batch.without_sample.size(); ++i) {
    NARTHEX_CHECK(batch.without_sample[i] < entries);
    if (i > 0) NARTHEX_CHECK(batch.without_sample[i] > batch.without_sample[i - 1]);
  }
  for (const WriteColumns::Problem& problem : columns.problems) {
    NARTHEX_CHECK(problem.series < columns.series.size());
  }
}

// Columns of a decoder that said yes: they hold, labels can be made, and entries can go.
inline void TryColumns(WriteColumns* columns, LabelSource* source) {
  CheckColumns(*columns);
  std::vector<LabelView> labels;
  for (const WriteColumns::Series& series : columns->series) {
    if (source->MakeLabels(series.source, &labels) != LabelsVerdict::kGood) continue;
    for (size_t i = 1; i < labels.size(); ++i) NARTHEX_CHECK(labels[i - 1].name < labels[i].name);
  }
  std::vector<bool> dropped(columns->entries(), false);
  for (size_t i = 0; i < dropped.size(); i += 2) dropped[i] = true;
  const size_t kept = dropped.size() / 2;
  columns->DropEntries(dropped);
  NARTHEX_CHECK(columns->entries() == kept);
  CheckColumns(*columns);
}

}  // namespace narthex::storage_remote

#endif  // NARTHEX_TESTS_FUZZ_STORAGE_CHECK_COLUMNS_H_
