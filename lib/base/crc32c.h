#ifndef NARTHEX_LIB_BASE_CRC32C_H_
#define NARTHEX_LIB_BASE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace narthex {

// CRC-32C (Castagnoli), unmasked, as Prometheus' files carry it; with the processor's instruction
// where there is one.
uint32_t Crc32c(std::string_view bytes);
// The checksum of what `crc` covers followed by `bytes`.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_CRC32C_H_
