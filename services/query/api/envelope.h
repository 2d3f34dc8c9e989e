#ifndef NARTHEX_SERVICES_QUERY_API_ENVELOPE_H_
#define NARTHEX_SERVICES_QUERY_API_ENVELOPE_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/regex.h"
#include "lib/http/message.h"
#include "services/query/api/errors.h"

namespace narthex::query_api {

// What a handler of the API says: data as JSON text, or an error; either may come with warnings and
// infos. Neither data nor an error is HTTP 204.
struct Answer {
  std::string data;
  // For data too large to be kept as text: appends it to *out and calls `drain` now and then, which
  // sends what is there. False when that says so. `data` is then ignored.
  std::function<bool(std::string* out, const std::function<bool()>& drain)> write_data;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  bool failed = false;
  ErrorType error_type = ErrorType::kInternal;
  std::string error;

  static Answer Data(std::string json);
  static Answer Error(ErrorType type, std::string_view message);
  static Answer Error(const absl::Status& status);
  // 400 bad_data: invalid parameter "name": reason.
  static Answer BadParameter(std::string_view name, std::string_view reason);
  static Answer BadParameter(std::string_view name, const absl::Status& status);
};

using ApiHandler = std::function<Answer(const http::ServerRequest&)>;

// The HTTP response with the envelope {"status":…,"data":…} around the answer. At most ten warnings
// and ten infos are shown; a last line says how many were left out.
http::ServerResponse ToResponse(Answer answer);

// Adds the CORS headers: to any origin when `allowed_origin` is ".*", else to those that match.
void AddCorsHeaders(const Regex& allowed_origin, const http::ServerRequest& request,
                    http::ServerResponse* response);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_ENVELOPE_H_
