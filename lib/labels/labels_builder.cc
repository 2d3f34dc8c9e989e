#include "lib/labels/labels_builder.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"

namespace narthex {

void LabelsBuilder::Reset(const Labels& base) {
  base_ = base;
  set_size_ = 0;
  deleted_size_ = 0;
}

void LabelsBuilder::Reset() { Reset(Labels()); }

const LabelsBuilder::Pair* LabelsBuilder::FindSet(std::string_view name) const {
  for (size_t i = 0; i < set_size_; ++i) {
    if (set_[i].first == name) return &set_[i];
  }
  return nullptr;
}

LabelsBuilder::Pair* LabelsBuilder::FindSet(std::string_view name) {
  return const_cast<Pair*>(std::as_const(*this).FindSet(name));
}

bool LabelsBuilder::IsDeleted(std::string_view name) const {
  for (size_t i = 0; i < deleted_size_; ++i) {
    if (deleted_[i] == name) return true;
  }
  return false;
}

void LabelsBuilder::Set(std::string_view name, std::string_view value) {
  if (value.empty()) {
    Del(name);
  } else if (Pair* const pair = FindSet(name); pair != nullptr) {
    pair->second.assign(value);
  } else if (set_size_ < set_.size()) {
    set_[set_size_].first.assign(name);
    set_[set_size_].second.assign(value);
    ++set_size_;
  } else {
    // Made before the vector grows, since the arguments may point into it.
    set_.push_back(Pair(name, value));
    ++set_size_;
  }
}

void LabelsBuilder::Del(std::string_view name) {
  if (!IsDeleted(name)) {
    if (deleted_size_ < deleted_.size()) {
      deleted_[deleted_size_].assign(name);
    } else {
      deleted_.push_back(std::string(name));
    }
    ++deleted_size_;
  }
  if (Pair* const pair = FindSet(name); pair != nullptr) {
    std::swap(*pair, set_[set_size_ - 1]);
    --set_size_;
  }
}

void LabelsBuilder::Keep(std::span<const std::string> names) {
  const auto drop = [&](std::string_view name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) Del(name);
  };
  for (const LabelView label : base_) drop(label.name);
  for (size_t i = set_size_; i-- > 0;) drop(set_[i].first);
}

void LabelsBuilder::Drop(std::span<const std::string> names) {
  for (const std::string& name : names) Del(name);
}

std::string_view LabelsBuilder::Get(std::string_view name) const {
  if (const Pair* const pair = FindSet(name); pair != nullptr) return pair->second;
  return IsDeleted(name) ? std::string_view() : base_.Get(name);
}

template <typename Visit>
void LabelsBuilder::ForEachKept(Visit visit) const {
  for (const LabelView label : base_) {
    if (!IsDeleted(label.name) && FindSet(label.name) == nullptr) visit(label);
  }
}

void LabelsBuilder::ForEach(const std::function<void(LabelView)>& visit) const {
  ForEachKept(visit);
  for (size_t i = 0; i < set_size_; ++i) visit({set_[i].first, set_[i].second});
}

Labels LabelsBuilder::Build() const {
  if (set_size_ == 0 && deleted_size_ == 0) return base_;
  absl::InlinedVector<LabelView, 32> labels;
  ForEachKept([&](LabelView label) { labels.push_back(label); });
  for (size_t i = 0; i < set_size_; ++i) labels.push_back({set_[i].first, set_[i].second});
  std::sort(labels.begin(), labels.end());
  return Labels::FromSorted({labels.data(), labels.size()});
}

}  // namespace narthex
