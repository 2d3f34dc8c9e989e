#ifndef NARTHEX_LIB_LABELS_LABELS_H_
#define NARTHEX_LIB_LABELS_LABELS_H_

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex {

inline constexpr std::string_view kMetricName = "__name__";

struct LabelView {
  std::string_view name;
  std::string_view value;
  friend bool operator==(const LabelView&, const LabelView&) = default;
  friend auto operator<=>(const LabelView&, const LabelView&) = default;
};

// An immutable label set: unique names in byte order, no empty values. One pointer to a shared,
// reference-counted block that holds the strings and the hash, so copying and hashing cost nothing
// and equality is mostly a pointer or hash comparison. Views stay valid as long as any copy of the
// set lives.
//
// Thread safety: as an int; copies of one set may be used from different threads.
class Labels {
 public:
  Labels() = default;
  // Sorts, and drops empty values. REQUIRES: no name twice.
  Labels(std::initializer_list<LabelView> labels);
  static Labels FromPairs(std::vector<std::pair<std::string, std::string>> pairs);
  // REQUIRES: `labels` is sorted by name, without duplicates and empty values (NARTHEX_DCHECKed).
  static Labels FromSorted(std::span<const LabelView> labels);

  Labels(const Labels& other);
  Labels(Labels&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  Labels& operator=(const Labels& other);
  Labels& operator=(Labels&& other) noexcept;
  ~Labels();

  size_t size() const;
  bool empty() const { return rep_ == nullptr; }
  LabelView operator[](size_t index) const;
  // The value of `name`, or "" when there is none (the two are the same thing to Prometheus).
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  std::string_view metric_name() const { return Get(kMetricName); }

  // FastHash over the content; the same for equal sets within a process.
  uint64_t hash() const;
  // FNV-1a over name 0xff value 0xff …, which is upstream's stable fingerprint
  // (model.LabelSet.Fingerprint and labels.StableHash differ; this is LabelSet.Fingerprint).
  uint64_t Fingerprint() const;

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = LabelView;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = LabelView;
    LabelView operator*() const { return (*labels_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.index_ == b.index_; }

   private:
    friend class Labels;
    Iterator(const Labels* labels, size_t index) : labels_(labels), index_(index) {}
    const Labels* labels_;
    size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

  // Upstream's labels.String(): {__name__="up", job="x"}; names that are no legacy label names are
  // quoted.
  std::string ToString() const;

  friend bool operator==(const Labels& a, const Labels& b);
  // The order of upstream's labels.Compare: label by label, name then value, shorter first.
  friend std::strong_ordering operator<=>(const Labels& a, const Labels& b);
  template <typename H>
  friend H AbslHashValue(H h, const Labels& labels) {
    return H::combine(std::move(h), labels.hash());
  }

 private:
  struct Rep;  // The block; its layout is in labels.cc.
  explicit Labels(Rep* rep) : rep_(rep) {}
  Rep* rep_ = nullptr;  // Null for the empty set.
};

}  // namespace narthex

#endif  // NARTHEX_LIB_LABELS_LABELS_H_
