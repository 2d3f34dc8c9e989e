#ifndef NARTHEX_LIB_CONFIG_SECRET_H_
#define NARTHEX_LIB_CONFIG_SECRET_H_

#include <string>
#include <string_view>
#include <utility>

namespace narthex::config {

// A string that is printed as "<secret>": there is no way to write it into a log or a page but to
// say reveal(). Thread safety: as a string.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  std::string_view redacted() const { return value_.empty() ? "" : "<secret>"; }
  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  std::string value_;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_SECRET_H_
