#include "lib/storage/changed_labels.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/labels/labels_builder.h"

namespace narthex::storage {
namespace {

// How many labels of the set have names before `name`.
size_t LabelsBefore(const Labels& labels, std::string_view name) {
  size_t count = 0;
  while (count < labels.size() && labels[count].name < name) ++count;
  return count;
}

class ChangedSet : public SeriesSet {
 public:
  // An empty value takes the label away.
  ChangedSet(std::unique_ptr<SeriesSet> set, std::string_view name, std::string_view value)
      : set_(std::move(set)), name_(name), value_(value) {}

  bool Next() override {
    while (status_.ok()) {
      if (!peeked_) Peek();
      if (!status_.ok()) return false;
      // Held series that nothing later can come before: those of a group that has ended, and those
      // before one that moves nowhere.
      if (!held_.empty()) {
        const Held& first = held_.front();
        if (!live_ || !InGroup(first) || (!moves_ && first.labels < changed_)) return TakeHeld();
      }
      if (!live_) return false;
      if (!moves_) {
        labels_ = changed_;
        direct_ = true;
        peeked_ = false;
        return true;
      }
      Hold();
    }
    return false;
  }
  const Labels& labels() const override { return labels_; }
  absl::Status ReadSamples(SampleBuffer* out) override {
    if (direct_) return set_->ReadSamples(out);
    out->AppendAll(samples_);
    return absl::OkStatus();
  }
  absl::Status status() const override { return status_; }

 private:
  struct Held {
    Labels labels;  // Changed.
    // Its labels before the name, or the first of them where labels are taken away; views into
    // `labels`.
    std::vector<LabelView> group;
    SampleBuffer samples;
  };
  struct Later {
    bool operator()(const Held& a, const Held& b) const { return b.labels < a.labels; }
  };

  // Looks at the next series of the input.
  void Peek() {
    peeked_ = true;
    live_ = set_->Next();
    if (!live_) {
      status_ = set_->status();
      return;
    }
    const Labels& labels = set_->labels();
    const size_t before = LabelsBefore(labels, name_);
    const bool has = before < labels.size() && labels[before].name == name_;
    // A label is added to what has labels behind its name at their common place. What has none
    // behind it comes after all that has the same labels and more before it; what has its own may
    // go before or behind the others.
    //
    // One that loses its label may go before all that have more labels before the name, down to
    // the first of them, which is the metric's name: those wait for it.
    moves_ = has || (value_.empty() ? before > 1 : before == labels.size());
    if (value_.empty() ? !has : has) {
      changed_ = labels;
      return;
    }
    builder_.Reset(labels);
    if (value_.empty()) {
      builder_.Del(name_);
    } else {
      builder_.Set(name_, value_);
    }
    changed_ = builder_.Build();
  }

  // Whether the series looked at begins with the labels that `held` has before the name.
  bool InGroup(const Held& held) const {
    const Labels& labels = set_->labels();
    if (labels.size() < held.group.size()) return false;
    for (size_t i = 0; i < held.group.size(); ++i) {
      if (labels[i] != held.group[i]) return false;
    }
    return true;
  }

  void Hold() {
    Held& held = held_.emplace_back();
    held.labels = changed_;
    size_t before = LabelsBefore(changed_, name_);
    if (value_.empty()) before = std::min<size_t>(before, 1);
    for (size_t i = 0; i < before; ++i) held.group.push_back(held.labels[i]);
    status_ = set_->ReadSamples(&held.samples);
    peeked_ = false;
    // Equal ones come out in any order.
    std::push_heap(held_.begin(), held_.end(), Later());
  }

  bool TakeHeld() {
    std::pop_heap(held_.begin(), held_.end(), Later());
    labels_ = std::move(held_.back().labels);
    samples_ = std::move(held_.back().samples);
    held_.pop_back();
    direct_ = false;
    return true;
  }

  const std::unique_ptr<SeriesSet> set_;
  const std::string name_;
  const std::string value_;

  // The series of the input that was looked at.
  bool peeked_ = false;
  bool live_ = false;  // There is one.
  bool moves_ = false;
  Labels changed_;
  LabelsBuilder builder_;

  std::vector<Held> held_;  // A heap, the first in front.

  // The current series.
  bool direct_ = false;
  Labels labels_;
  SampleBuffer samples_;
  absl::Status status_;
};

}  // namespace

std::unique_ptr<SeriesSet> WithLabel(std::unique_ptr<SeriesSet> set, std::string_view name,
                                     std::string_view value) {
  NARTHEX_CHECK(!name.empty() && !value.empty());
  return std::make_unique<ChangedSet>(std::move(set), name, value);
}

std::unique_ptr<SeriesSet> WithoutLabel(std::unique_ptr<SeriesSet> set, std::string_view name) {
  return std::make_unique<ChangedSet>(std::move(set), name, "");
}

}  // namespace narthex::storage
