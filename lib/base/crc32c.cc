#include "lib/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace narthex {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected.

// Tables for eight bytes at a time: kTables[k][b] is the checksum of byte b followed by k zero
// bytes.
constexpr std::array<std::array<uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t i = 0; i < 256; ++i) {
      tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
    }
  }
  return tables;
}
constexpr auto kTables = MakeTables();

uint32_t ExtendPortable(uint32_t crc, const char* data, size_t size) {
  while (size >= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
    data += 8;
    size -= 8;
  }
  for (; size > 0; ++data, --size) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*data)) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)
// The instruction takes three cycles but one can start each cycle, so three parts of this length
// are done beside each other.
constexpr size_t kPart = 128;

// What a checksum becomes by kPart zero bytes, byte by byte of the checksum.
constexpr std::array<std::array<uint32_t, 256>, 4> MakeShifts() {
  std::array<std::array<uint32_t, 256>, 4> shifts{};
  for (size_t k = 0; k < 4; ++k) {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i << (8 * k);
      for (size_t n = 0; n < kPart; ++n) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
      shifts[k][i] = crc;
    }
  }
  return shifts;
}
constexpr auto kShifts = MakeShifts();

uint32_t Shift(uint64_t crc) {
  return kShifts[0][crc & 0xff] ^ kShifts[1][(crc >> 8) & 0xff] ^ kShifts[2][(crc >> 16) & 0xff] ^
         kShifts[3][(crc >> 24) & 0xff];
}

__attribute__((target("sse4.2"))) uint32_t ExtendHardware(uint32_t crc, const char* data,
                                                          size_t size) {
  uint64_t wide = crc;
  for (; size >= 3 * kPart; data += 3 * kPart, size -= 3 * kPart) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < kPart; i += 8) {
      uint64_t words[3];
      std::memcpy(&words[0], data + i, 8);
      std::memcpy(&words[1], data + kPart + i, 8);
      std::memcpy(&words[2], data + 2 * kPart + i, 8);
      wide = _mm_crc32_u64(wide, words[0]);
      second = _mm_crc32_u64(second, words[1]);
      third = _mm_crc32_u64(third, words[2]);
    }
    wide = Shift(Shift(wide) ^ second) ^ third;
  }
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; ++data, --size) crc = _mm_crc32_u8(crc, static_cast<unsigned char>(*data));
  return crc;
}
#endif

}  // namespace

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
  static const bool hardware = __builtin_cpu_supports("sse4.2") != 0;
  if (hardware) return ~ExtendHardware(~crc, bytes.data(), bytes.size());
#endif
  return ~ExtendPortable(~crc, bytes.data(), bytes.size());
}

uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace narthex
