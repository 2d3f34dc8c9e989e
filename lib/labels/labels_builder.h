#ifndef NARTHEX_LIB_LABELS_LABELS_BUILDER_H_
#define NARTHEX_LIB_LABELS_LABELS_BUILDER_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/labels/labels.h"

namespace narthex {

// Changes a label set: starts from a base, collects Set and Del, and makes the new set. Reset()
// keeps the memory, so one builder serves a whole loop. An empty value is the same as Del. Thread
// safety: none.
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(const Labels& base) { Reset(base); }

  void Reset(const Labels& base);
  void Reset();  // From the empty set.
  // The arguments may be views that Get() of this builder returned.
  void Set(std::string_view name, std::string_view value);
  void Del(std::string_view name);
  // Keeps (or drops) only the named labels; `names` need not be sorted.
  void Keep(std::span<const std::string> names);
  void Drop(std::span<const std::string> names);
  // The view is valid until the next change.
  std::string_view Get(std::string_view name) const;
  // Visits the current labels in no particular order; the visitor must not change the builder.
  void ForEach(const std::function<void(LabelView)>& visit) const;
  Labels Build() const;

 private:
  // Changes: the live ones are the first *_size_ elements, those behind them keep their memory for
  // later.
  using Pair = std::pair<std::string, std::string>;
  Pair* FindSet(std::string_view name);
  const Pair* FindSet(std::string_view name) const;
  bool IsDeleted(std::string_view name) const;
  // The labels of the base that are neither deleted nor set anew.
  template <typename Visit>
  void ForEachKept(Visit visit) const;

  Labels base_;
  std::vector<Pair> set_;
  size_t set_size_ = 0;
  std::vector<std::string> deleted_;
  size_t deleted_size_ = 0;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_LABELS_LABELS_BUILDER_H_
