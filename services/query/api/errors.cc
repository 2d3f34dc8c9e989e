#include "services/query/api/errors.h"

#include "lib/base/strings.h"

namespace narthex::query_api {

std::string_view ErrorTypeName(ErrorType type) {
  switch (type) {
    case ErrorType::kBadData:
      return "bad_data";
    case ErrorType::kNotFound:
      return "not_found";
    case ErrorType::kNotAcceptable:
      return "not_acceptable";
    case ErrorType::kExecution:
      return "execution";
    case ErrorType::kCanceled:
      return "canceled";
    case ErrorType::kTimeout:
      return "timeout";
    case ErrorType::kUnavailable:
    case ErrorType::kSwitchedOff:
      return "unavailable";
    case ErrorType::kInternal:
      break;
  }
  return "internal";
}

int HttpStatus(ErrorType type) {
  switch (type) {
    case ErrorType::kBadData:
      return 400;
    case ErrorType::kNotFound:
      return 404;
    case ErrorType::kNotAcceptable:
      return 406;
    case ErrorType::kExecution:
      return 422;
    case ErrorType::kCanceled:
      return 499;
    case ErrorType::kTimeout:
      return 503;
    // Upstream answers 500, but there it means a switch that is off or a database in the same
    // process. Here a storage node does not answer, which passes: load balancers and clients retry
    // a 503.
    case ErrorType::kUnavailable:
      return 503;
    case ErrorType::kSwitchedOff:
    case ErrorType::kInternal:
      break;
  }
  return 500;
}

ErrorType ErrorTypeOf(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return ErrorType::kBadData;
  if (absl::IsNotFound(status)) return ErrorType::kNotFound;
  if (absl::IsCancelled(status)) return ErrorType::kCanceled;
  if (absl::IsDeadlineExceeded(status)) return ErrorType::kTimeout;
  if (absl::IsResourceExhausted(status)) return ErrorType::kExecution;
  if (absl::IsFailedPrecondition(status)) return ErrorType::kExecution;
  if (absl::IsUnavailable(status)) return ErrorType::kUnavailable;
  return ErrorType::kInternal;
}

std::string InvalidParameter(std::string_view name, std::string_view reason) {
  return StrCat("invalid parameter \"", name, "\": ", reason);
}

}  // namespace narthex::query_api
