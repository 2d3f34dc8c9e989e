#ifndef NARTHEX_LIB_BASE_HASH_H_
#define NARTHEX_LIB_BASE_HASH_H_

#include <cstdint>
#include <string_view>

namespace narthex {

// XXH64 with seed 0: stable across processes, releases and machines, so it may be written to disk
// and shared by peers.
uint64_t StableHash(std::string_view bytes);
// Fowler-Noll-Vo 1a, 64 bits (upstream's fingerprints).
uint64_t Fnv1a64(std::string_view bytes);
// XXH3, 64 bits: the fastest; only for tables in memory.
uint64_t FastHash(std::string_view bytes);

// XXH3, 128 bits, with a seed: where equal hashes are taken for equal bytes. A seed that nobody
// outside knows keeps others from making two texts of one hash.
struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};
Hash128 FastHash128(std::string_view bytes, uint64_t seed);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_HASH_H_
