#ifndef NARTHEX_LIB_BASE_STATUS_MACROS_H_
#define NARTHEX_LIB_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expression` is not OK.
#define NARTHEX_RETURN_IF_ERROR(expression)          \
  do {                                               \
    absl::Status narthex_status = (expression);      \
    if (!narthex_status.ok()) return narthex_status; \
  } while (false)

// NARTHEX_ASSIGN_OR_RETURN(auto x, F()) evaluates F() to a StatusOr and either declares x or
// returns the error.
#define NARTHEX_ASSIGN_OR_RETURN(declaration, expression) \
  NARTHEX_ASSIGN_OR_RETURN_(NARTHEX_CONCAT_(narthex_status_or_, __LINE__), declaration, expression)

#define NARTHEX_CONCAT_INNER_(a, b) a##b
#define NARTHEX_CONCAT_(a, b) NARTHEX_CONCAT_INNER_(a, b)
#define NARTHEX_ASSIGN_OR_RETURN_(temporary, declaration, expression) \
  auto temporary = (expression);                                      \
  if (!temporary.ok()) return std::move(temporary).status();          \
  declaration = std::move(temporary).value()

#endif  // NARTHEX_LIB_BASE_STATUS_MACROS_H_
