#ifndef NARTHEX_SERVICES_STORAGE_TSDB_ULID_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_ULID_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/model/timestamp.h"

namespace narthex::tsdb {

// The name of a block: 48 bits of time and 80 random ones, as 26 characters of Crockford's base 32
// whose order is the order of time. A value; all functions are thread-safe.
class Ulid {
 public:
  static constexpr size_t kTextSize = 26;
  static constexpr size_t kEntropySize = 10;

  Ulid() = default;  // All zeros.
  // REQUIRES: 0 <= time < 2^48.
  static Ulid Make(Timestamp time, std::span<const uint8_t, kEntropySize> entropy);
  // With entropy of the operating system; no two of this process are the same.
  static Ulid New(Timestamp time);
  // Nothing when `text` is no ULID as upstream's programs write it: upper case, no letters I, L, O,
  // U, at most 128 bits.
  static std::optional<Ulid> Parse(std::string_view text);

  Timestamp time() const;  // Milliseconds since 1970: when the block was written.
  std::string ToString() const;

  friend bool operator==(const Ulid&, const Ulid&) = default;
  friend auto operator<=>(const Ulid&, const Ulid&) = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_ULID_H_
