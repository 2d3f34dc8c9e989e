#ifndef NARTHEX_LIB_CHUNKENC_CHUNK_H_
#define NARTHEX_LIB_CHUNKENC_CHUNK_H_

#include <cstdint>

namespace narthex::chunkenc {

// The encoding byte of a chunk in block and head chunk files.
enum class Encoding : uint8_t {
  kNone = 0,
  kXor = 1,
  kHistogram = 2,
  kFloatHistogram = 3,
  kXor2 = 4,
  kHistogramSt = 5,
  kFloatHistogramSt = 6,
};

}  // namespace narthex::chunkenc

#endif  // NARTHEX_LIB_CHUNKENC_CHUNK_H_
