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

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_HASH_H_
