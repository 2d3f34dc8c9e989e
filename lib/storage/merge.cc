#include "lib/storage/merge.h"

#include <algorithm>
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

// Merges sets in which several series may follow one another with equal labels.
class ReplicaSeriesSet : public SeriesSet {
 public:
  explicit ReplicaSeriesSet(std::vector<std::unique_ptr<SeriesSet>> sets) {
    inputs_.reserve(sets.size());
    for (auto& set : sets) inputs_.push_back({std::move(set), false});
  }

  bool Next() override {
    if (!started_) {
      started_ = true;
      for (Input& input : inputs_) Advance(&input);
    }
    if (!status_.ok()) return false;
    const Labels* first = nullptr;
    for (const Input& input : inputs_) {
      if (input.live && (first == nullptr || input.set->labels() < *first)) {
        first = &input.set->labels();
      }
    }
    if (first == nullptr) return false;
    labels_ = *first;
    count_ = 0;
    for (Input& input : inputs_) {
      while (input.live && input.set->labels() == labels_) {
        if (count_ == replicas_.size()) replicas_.emplace_back();
        replicas_[count_].Clear();
        status_ = input.set->ReadSamples(&replicas_[count_]);
        if (!status_.ok()) return false;
        ++count_;
        Advance(&input);
        if (!status_.ok()) return false;
      }
    }
    return true;
  }
  const Labels& labels() const override { return labels_; }
  absl::Status ReadSamples(SampleBuffer* out) override {
    MergeReplicas(std::span(replicas_).first(count_), out);
    return absl::OkStatus();
  }
  absl::Status status() const override { return status_; }

 private:
  struct Input {
    std::unique_ptr<SeriesSet> set;
    bool live = false;  // Stands at a series that was not read yet.
  };

  void Advance(Input* input) {
    input->live = input->set->Next();
    if (!input->live) status_.Update(input->set->status());
  }

  std::vector<Input> inputs_;
  bool started_ = false;
  Labels labels_;
  std::vector<SampleBuffer> replicas_;  // The first count_ are those of the current series.
  size_t count_ = 0;
  absl::Status status_;
};

// Follows one of two, as MergeReplicas() says.
void FollowOne(const SampleBuffer& a, const SampleBuffer& b, SampleBuffer* out) {
  // What is waited for at the first change, when no gap says how long.
  constexpr int64_t kPenaltyFirst = 5000;
  struct Replica {
    const SampleBuffer* buffer;
    size_t next = 0;       // The first sample after the last one taken.
    size_t candidate = 0;  // The first of those outside of the penalty.
    int64_t penalty = 0;
    bool has() const { return candidate < buffer->size(); }
    Timestamp time() const { return buffer->timestamps()[candidate]; }
    void Seek(Timestamp last) {
      const std::span<const Timestamp> times = buffer->timestamps();
      while (next < times.size() && times[next] <= last) ++next;
      candidate = next;
      while (candidate < times.size() && times[candidate] <= last + penalty) ++candidate;
    }
  };
  Replica replicas[2] = {{&a}, {&b}};
  const Replica* followed = nullptr;
  Timestamp last = kMinTimestamp;
  while (replicas[0].has() || replicas[1].has()) {
    const bool second =
        !replicas[0].has() || (replicas[1].has() && replicas[1].time() < replicas[0].time());
    Replica& taken = replicas[second ? 1 : 0];
    Replica& other = replicas[second ? 0 : 1];
    other.penalty = followed == nullptr ? kPenaltyFirst : 2 * (taken.time() - last);
    taken.penalty = 0;
    last = taken.time();
    out->AppendFrom(*taken.buffer, taken.candidate);
    // Another one came before it than the one that its hint compares it with.
    if (followed != nullptr && followed != &taken) out->ForgetResetHint();
    followed = &taken;
    for (Replica& replica : replicas) replica.Seek(last);
    // Nobody is waited for when the other has ended.
    if (!taken.has()) {
      other.penalty = 0;
      other.Seek(last);
    }
  }
}

}  // namespace

std::unique_ptr<SeriesSet> MergeReplicaSets(std::vector<std::unique_ptr<SeriesSet>> sets) {
  return std::make_unique<ReplicaSeriesSet>(std::move(sets));
}

void MergeReplicas(std::span<const SampleBuffer> replicas, SampleBuffer* out) {
  if (replicas.empty()) return;
  if (replicas.size() == 1) return out->AppendAll(replicas[0]);
  SampleBuffer merged;
  FollowOne(replicas[0], replicas[1], &merged);
  for (size_t i = 2; i < replicas.size(); ++i) {
    SampleBuffer more;
    FollowOne(merged, replicas[i], &more);
    std::swap(merged, more);
  }
  out->AppendAll(merged);
}

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
