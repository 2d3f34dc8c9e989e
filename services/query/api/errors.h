#ifndef NARTHEX_SERVICES_QUERY_API_ERRORS_H_
#define NARTHEX_SERVICES_QUERY_API_ERRORS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

// How errors are told to clients of the HTTP API: a type, an HTTP status, a message. All functions
// are pure.
namespace narthex::query_api {

enum class ErrorType {
  kBadData,
  kNotFound,
  kNotAcceptable,
  kExecution,
  kCanceled,
  kInternal,
  kTimeout,
  kUnavailable,
  kSwitchedOff,  // A flag would have to be given; "unavailable", too.
};

std::string_view ErrorTypeName(ErrorType type);  // "bad_data", …
int HttpStatus(ErrorType type);
// The type of an error that came out of the engine or a store.
ErrorType ErrorTypeOf(const absl::Status& status);

// `invalid parameter "start": <reason>`
std::string InvalidParameter(std::string_view name, std::string_view reason);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_ERRORS_H_
