#ifndef NARTHEX_LIB_TEXTPARSE_PARSER_H_
#define NARTHEX_LIB_TEXTPARSE_PARSER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/model/metadata.h"
#include "lib/model/timestamp.h"
#include "lib/textparse/content_type.h"

// What a target exposes, entry by entry and without copies.
namespace narthex::textparse {

enum class EntryKind : uint8_t { kSeries, kHelp, kType, kUnit };

// One entry of an exposition. The views stay valid as long as the body and the parser that made it.
struct Entry {
  EntryKind kind = EntryKind::kSeries;
  bool has_timestamp = false;
  // kType: the type. Others: the type that the last TYPE line stated, whatever family it named.
  MetricType type = MetricType::kUnknown;
  // kSeries: metric and labels as written, which is the key of a scrape cache; ReadLabels() makes
  // labels of it. Others: the name of the metric family.
  std::string_view name;
  std::string_view text;  // The text of kHelp, unescaped, and of kUnit.
  double value =
      0;  // Of kSeries. Every NaN is NormalNan(): a target cannot write a staleness marker.
  Timestamp timestamp = 0;  // Of kSeries, with has_timestamp.
};

// Reads one exposition from front to back:
//
//   while (parser->Next()) Use(parser->entry());
//   if (!parser->status().ok()) …  // Nothing of a body with an error counts, also not the entries
//   before it.
//
// It decodes a block of entries at a time, so that Next() is no virtual call. Made by NewParser();
// the body must outlive it. Thread safety: none.
class Parser {
 public:
  virtual ~Parser() = default;
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Goes to the next entry; false at the end or at an error.
  bool Next() {
    if (++current_ < count_) return true;
    return Refill();
  }
  // REQUIRES: the last Next() returned true. Valid until the next Next(); copies of it are good as
  // long as the parser is.
  const Entry& entry() const { return entries_[current_]; }
  // Once Next() has returned false: InvalidArgument that says what is wrong, in upstream's words,
  // or OK.
  const absl::Status& status() const { return status_; }

  // The labels behind a kSeries entry of this parser, without empty values; `le` and `quantile` are
  // in their canonical form
  // ("1.0"). InvalidArgument when a name stands twice.
  virtual absl::StatusOr<Labels> ReadLabels(const Entry& series) = 0;
  // Names of the labels that the series of the last ReadLabels() has with an empty value. They are
  // in no label set, but with honor_labels they keep the target's label of that name away.
  std::span<const std::string_view> empty_labels() const { return empty_labels_; }

 protected:
  Parser() = default;
  // Decodes entries from the start of `entries` on and returns how many; fewer than there is room
  // for at the end, or before an error, which it puts into `status`.
  virtual size_t Fill(std::span<Entry> entries, absl::Status* status) = 0;

  std::vector<std::string_view> empty_labels_;

 private:
  bool Refill();

  // 64 entries of 56 bytes stay within the first-level cache.
  std::array<Entry, 64> entries_;
  size_t current_ = 0;
  size_t count_ = 0;
  bool ended_ = false;
  absl::Status status_;
};

// InvalidArgument when there is no parser for the format.
absl::StatusOr<std::unique_ptr<Parser>> NewParser(Format format, std::string_view body);

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_PARSER_H_
