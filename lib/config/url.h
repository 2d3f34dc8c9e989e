#ifndef NARTHEX_LIB_CONFIG_URL_H_
#define NARTHEX_LIB_CONFIG_URL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// URLs in configuration. Pure functions; thread-safe.
namespace narthex::config {

struct Url {
  std::string scheme;     // Lower case; empty when there is none.
  std::string user_info;  // "user:password", still escaped.
  std::string host;       // With the port.
  std::string path;       // And everything after it.
};

// Splits `text` as Go's url.Parse does and refuses what that refuses: parse "://x": missing
// protocol scheme.
absl::StatusOr<Url> ParseUrl(std::string_view text);
// With the password, if any, replaced by "xxxxx".
std::string RedactUrl(std::string_view text);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_URL_H_
