#ifndef NARTHEX_TESTS_UNIT_LIB_CHUNKENC_HEX_H_
#define NARTHEX_TESTS_UNIT_LIB_CHUNKENC_HEX_H_

#include <string>
#include <string_view>

namespace narthex::chunkenc {

inline std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    hex.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return hex;
}

inline std::string FromHex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

}  // namespace narthex::chunkenc

#endif  // NARTHEX_TESTS_UNIT_LIB_CHUNKENC_HEX_H_
