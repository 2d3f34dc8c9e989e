#include "lib/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace narthex {

uint64_t StableHash(std::string_view bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

uint64_t Fnv1a64(std::string_view bytes) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211u;
  }
  return hash;
}

uint64_t FastHash(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Hash128 FastHash128(std::string_view bytes, uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {hash.low64, hash.high64};
}

}  // namespace narthex
