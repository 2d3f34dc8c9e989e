#include "lib/storage/merge.h"

#include <utility>

#include "lib/base/status_macros.h"

namespace narthex::storage {
namespace {

// A merge of a few sets: there is one a storage node, so the smallest is found by looking at all of
// them.
class MergedSeriesSet : public SeriesSet {
 public:
  explicit MergedSeriesSet(std::vector<std::unique_ptr<SeriesSet>> sets) {
    inputs_.reserve(sets.size());
    for (auto& set : sets) inputs_.push_back({std::move(set), /*current=*/true});
  }

  bool Next() override {
    if (!status_.ok()) return false;
    labels_ = nullptr;
    for (Input& input : inputs_) {
      if (!input.current) continue;
      input.current = false;
      input.live = input.set->Next();
      if (!input.live && !input.set->status().ok()) {
        status_ = input.set->status();
        return false;
      }
    }
    for (const Input& input : inputs_) {
      if (input.live && (labels_ == nullptr || input.set->labels() < *labels_)) {
        labels_ = &input.set->labels();
      }
    }
    if (labels_ == nullptr) return false;
    for (Input& input : inputs_) input.current = input.live && input.set->labels() == *labels_;
    return true;
  }

  const Labels& labels() const override { return *labels_; }

  absl::Status ReadSamples(SampleBuffer* out) override {
    std::vector<SeriesSet*> sets;
    for (const Input& input : inputs_) {
      if (input.current) sets.push_back(input.set.get());
    }
    if (sets.size() == 1) return sets.front()->ReadSamples(out);
    merged_.Clear();
    for (SeriesSet* const set : sets) {
      read_.Clear();
      NARTHEX_RETURN_IF_ERROR(set->ReadSamples(&read_));
      joined_.Clear();
      MergeSamples(merged_, read_, &joined_);
      std::swap(merged_, joined_);
    }
    out->AppendAll(merged_);
    return absl::OkStatus();
  }

  absl::Status status() const override { return status_; }

 private:
  struct Input {
    std::unique_ptr<SeriesSet> set;
    bool current = false;  // Stands at the merged set's series (or before its first one).
    bool live = false;     // Stands at a series.
  };

  std::vector<Input> inputs_;
  const Labels* labels_ = nullptr;
  absl::Status status_;
  SampleBuffer merged_;
  SampleBuffer read_;
  SampleBuffer joined_;
};

}  // namespace

std::unique_ptr<SeriesSet> MergeSeriesSets(std::vector<std::unique_ptr<SeriesSet>> sets) {
  if (sets.size() == 1) return std::move(sets.front());
  return std::make_unique<MergedSeriesSet>(std::move(sets));
}

void MergeSamples(const SampleBuffer& a, const SampleBuffer& b, SampleBuffer* out) {
  const std::span<const Timestamp> a_times = a.timestamps();
  const std::span<const Timestamp> b_times = b.timestamps();
  const SampleBuffer* last = nullptr;
  const auto take = [&](const SampleBuffer& from, size_t index) {
    out->AppendFrom(from, index);
    // Another one came before it than the one that its hint compares it with.
    if (last != nullptr && last != &from) out->ForgetResetHint();
    last = &from;
  };
  size_t i = 0;
  size_t j = 0;
  while (i < a_times.size() || j < b_times.size()) {
    if (j == b_times.size() || (i < a_times.size() && a_times[i] <= b_times[j])) {
      if (j < b_times.size() && a_times[i] == b_times[j]) ++j;
      take(a, i++);
    } else {
      take(b, j++);
    }
  }
}

}  // namespace narthex::storage
