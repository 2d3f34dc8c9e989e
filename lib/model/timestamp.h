#ifndef NARTHEX_LIB_MODEL_TIMESTAMP_H_
#define NARTHEX_LIB_MODEL_TIMESTAMP_H_

#include <cstdint>
#include <limits>

#include "absl/time/time.h"

namespace narthex {

// Sample time: milliseconds since the Unix epoch.
using Timestamp = int64_t;

constexpr Timestamp kMinTimestamp = std::numeric_limits<int64_t>::min();
constexpr Timestamp kMaxTimestamp = std::numeric_limits<int64_t>::max();

inline Timestamp ToTimestamp(absl::Time time) { return absl::ToUnixMillis(time); }
inline absl::Time FromTimestamp(Timestamp timestamp) { return absl::FromUnixMillis(timestamp); }
// Rounded towards zero, as every duration of Prometheus is kept.
inline int64_t ToMillis(absl::Duration duration) { return absl::ToInt64Milliseconds(duration); }

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_TIMESTAMP_H_
