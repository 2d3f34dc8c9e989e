#ifndef NARTHEX_LIB_BASE_STRINGS_H_
#define NARTHEX_LIB_BASE_STRINGS_H_

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Strings and status messages in std::string_view. Abseil is built here with a string_view of its
// own, and this header is the one place that converts between the two. All functions are pure and
// thread-safe.
namespace narthex {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromAbsl(absl::string_view text) { return {text.data(), text.size()}; }

namespace strings_internal {
void AppendPiece(std::string* out, int64_t value);
void AppendPiece(std::string* out, uint64_t value);
void AppendPiece(std::string* out, double value);  // Shortest form that reads back the same.
inline void AppendPiece(std::string* out, std::string_view text) { out->append(text); }
inline void AppendPiece(std::string* out, char c) { out->push_back(c); }

template <typename T>
void Append(std::string* out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    AppendPiece(out, value ? std::string_view("true") : std::string_view("false"));
  } else if constexpr (std::is_same_v<T, char>) {
    AppendPiece(out, value);
  } else if constexpr (std::is_floating_point_v<T>) {
    AppendPiece(out, static_cast<double>(value));
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    AppendPiece(out, static_cast<int64_t>(value));
  } else if constexpr (std::is_integral_v<T>) {
    AppendPiece(out, static_cast<uint64_t>(value));
  } else if constexpr (std::is_same_v<T, absl::string_view>) {
    AppendPiece(out, FromAbsl(value));
  } else {
    AppendPiece(out, std::string_view(value));
  }
}
}  // namespace strings_internal

// Joins strings, characters, booleans and numbers.
template <typename... Pieces>
std::string StrCat(const Pieces&... pieces) {
  std::string out;
  (strings_internal::Append(&out, pieces), ...);
  return out;
}
template <typename... Pieces>
void StrAppend(std::string* out, const Pieces&... pieces) {
  (strings_internal::Append(out, pieces), ...);
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator);
// "a,b,,c" by ',' gives {"a","b","","c"}; "" gives {""}. The views point into `text`.
std::vector<std::string_view> Split(std::string_view text, char separator);
std::string_view TrimSpace(std::string_view text);  // ASCII white space at both ends.
std::string ToLowerAscii(std::string_view text);
bool EqualsIgnoreCaseAscii(std::string_view a, std::string_view b);
// Go's strconv.Quote: double quotes, \n \t \\ \" escaped, non-printable as \x or \u.
std::string Quote(std::string_view text);

// The whole of `text` as a number; nothing on trailing bytes, overflow or an empty text.
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseUint64(std::string_view text, uint64_t* value);
bool ParseDouble(std::string_view text,
                 double* value);  // Also "Inf", "+Inf", "-Inf", "NaN" in any case.

inline std::string_view Message(const absl::Status& status) { return FromAbsl(status.message()); }
// Puts `context` and ": " before the message; OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

template <typename... Pieces>
absl::Status InvalidArgument(const Pieces&... pieces) {
  return absl::InvalidArgumentError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status NotFound(const Pieces&... pieces) {
  return absl::NotFoundError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status FailedPrecondition(const Pieces&... pieces) {
  return absl::FailedPreconditionError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status ResourceExhausted(const Pieces&... pieces) {
  return absl::ResourceExhaustedError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status Unavailable(const Pieces&... pieces) {
  return absl::UnavailableError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status DataLoss(const Pieces&... pieces) {
  return absl::DataLossError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status Internal(const Pieces&... pieces) {
  return absl::InternalError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status Cancelled(const Pieces&... pieces) {
  return absl::CancelledError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status DeadlineExceeded(const Pieces&... pieces) {
  return absl::DeadlineExceededError(ToAbsl(StrCat(pieces...)));
}
template <typename... Pieces>
absl::Status AlreadyExists(const Pieces&... pieces) {
  return absl::AlreadyExistsError(ToAbsl(StrCat(pieces...)));
}

// Hash and equality for absl containers keyed by std::string that are asked by std::string_view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
struct StringEqual {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_STRINGS_H_
