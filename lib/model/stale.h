#ifndef NARTHEX_LIB_MODEL_STALE_H_
#define NARTHEX_LIB_MODEL_STALE_H_

#include <bit>
#include <cstdint>

namespace narthex {

// The two NaNs that Prometheus tells apart by their bits: the staleness marker and the ordinary
// NaN.
constexpr uint64_t kStaleNanBits = 0x7ff0000000000002;
constexpr uint64_t kNormalNanBits = 0x7ff8000000000001;

inline double StaleNan() { return std::bit_cast<double>(kStaleNanBits); }
inline double NormalNan() { return std::bit_cast<double>(kNormalNanBits); }
inline bool IsStale(double value) { return std::bit_cast<uint64_t>(value) == kStaleNanBits; }

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_STALE_H_
