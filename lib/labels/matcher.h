#ifndef NARTHEX_LIB_LABELS_MATCHER_H_
#define NARTHEX_LIB_LABELS_MATCHER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/base/regex.h"

namespace narthex {

enum class MatchType { kEqual, kNotEqual, kRegex, kNotRegex };
std::string_view MatchTypeText(MatchType type);  // "=", "!=", "=~", "!~"

// One condition on one label. A label that is not there has the value "". Immutable, cheap to copy,
// thread-safe.
class Matcher {
 public:
  static absl::StatusOr<Matcher> Create(MatchType type, std::string_view name,
                                        std::string_view value);
  static Matcher Equal(std::string_view name, std::string_view value);

  MatchType type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  bool Matches(std::string_view value) const;
  bool MatchesEmpty() const { return Matches(""); }
  // The expression of kRegex and kNotRegex: its literals() and prefix() let an index skip it.
  const Regex& regex() const { return regex_; }
  // job="api", {"a.b"=~"x"}'s inner form: the name is quoted where it must be, the value always (Go
  // quoting).
  std::string ToString() const;

  friend bool operator==(const Matcher& a, const Matcher& b) {
    return a.type_ == b.type_ && a.name_ == b.name_ && a.value_ == b.value_;
  }

 private:
  Matcher(MatchType type, std::string_view name, std::string_view value, Regex regex)
      : type_(type), name_(name), value_(value), regex_(std::move(regex)) {}
  MatchType type_;
  std::string name_;
  std::string value_;
  Regex regex_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_LABELS_MATCHER_H_
