#ifndef NARTHEX_LIB_BASE_REGEX_H_
#define NARTHEX_LIB_BASE_REGEX_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace narthex {

// A fully anchored RE2 expression with Prometheus 3's rules: '.' matches a newline, (?<name>…) is
// allowed, \C is not. Error texts are Go's ("error parsing regexp: missing closing ): `(`"). Cheap
// to copy; immutable and thread-safe.
class Regex {
 public:
  // Matches only the empty string.
  Regex();
  static absl::StatusOr<Regex> Compile(std::string_view pattern);
  // Go's regexp.MustCompile semantics without anchors and with '.' not matching newline (templates:
  // reReplaceAll, match).
  static absl::StatusOr<Regex> CompileUnanchored(std::string_view pattern);

  const std::string& pattern() const;
  bool Matches(std::string_view text) const;
  // Whether it matches somewhere in the text.
  bool Contains(std::string_view text) const;
  // When the whole text matches, expands $1, ${1}, $name, ${name} and $$ in `replacement` (Go's
  // Expand: unknown groups are empty); nothing when it does not match.
  std::optional<std::string> MatchAndExpand(std::string_view text,
                                            std::string_view replacement) const;
  // Go's ReplaceAllString.
  std::string ReplaceAll(std::string_view text, std::string_view replacement) const;

  // What a label index can use instead of running the expression. `literals` is set when the
  // expression matches exactly those strings (alternations of literals, at most 256 of them); else
  // `prefix` is a literal every match starts with, maybe empty.
  const std::optional<std::vector<std::string>>& literals() const;
  const std::string& prefix() const;

  friend bool operator==(const Regex& a, const Regex& b) { return a.pattern() == b.pattern(); }

 private:
  struct Rep;
  explicit Regex(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_REGEX_H_
