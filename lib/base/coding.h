#ifndef NARTHEX_LIB_BASE_CODING_H_
#define NARTHEX_LIB_BASE_CODING_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

// Fixed-width integers in both byte orders, and LEB128 varints: what the formats of disk and wire
// are made of. All functions are pure and thread-safe.
namespace narthex {

inline constexpr size_t kUvarintBytesMax = 10;

// Maps small numbers of either sign to small unsigned ones (0, -1, 1, -2 … to 0, 1, 2, 3 …).
inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// Writes a varint at `out`, which has room for kUvarintBytesMax bytes; returns how many were
// written.
inline size_t EncodeUvarint(uint8_t* out, uint64_t value) {
  size_t size = 0;
  while (value >= 0x80) {
    out[size++] = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  out[size++] = static_cast<uint8_t>(value);
  return size;
}

inline void AppendUvarint(std::string* out, uint64_t value) {
  uint8_t buffer[kUvarintBytesMax];
  const size_t size = EncodeUvarint(buffer, value);
  out->append(reinterpret_cast<const char*>(buffer), size);
}
inline void AppendVarint(std::string* out, int64_t value) { AppendUvarint(out, ZigZag(value)); }
// The length as a varint, then the bytes.
inline void AppendLengthPrefixed(std::string* out, std::string_view text) {
  AppendUvarint(out, text.size());
  out->append(text);
}

inline uint16_t ByteSwap(uint16_t value) { return __builtin_bswap16(value); }
inline uint32_t ByteSwap(uint32_t value) { return __builtin_bswap32(value); }
inline uint64_t ByteSwap(uint64_t value) { return __builtin_bswap64(value); }

// T is uint16_t, uint32_t or uint64_t. The pointers need no alignment.
template <typename T>
T LoadBig(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::little ? ByteSwap(value) : value;
}
template <typename T>
T LoadLittle(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::little ? value : ByteSwap(value);
}
template <typename T>
void StoreBig(void* to, T value) {
  if (std::endian::native == std::endian::little) value = ByteSwap(value);
  std::memcpy(to, &value, sizeof value);
}
template <typename T>
void StoreLittle(void* to, T value) {
  if (std::endian::native != std::endian::little) value = ByteSwap(value);
  std::memcpy(to, &value, sizeof value);
}
template <typename T>
void AppendBig(std::string* out, T value) {
  char buffer[sizeof value];
  StoreBig(buffer, value);
  out->append(buffer, sizeof value);
}
template <typename T>
void AppendLittle(std::string* out, T value) {
  char buffer[sizeof value];
  StoreLittle(buffer, value);
  out->append(buffer, sizeof value);
}

// Reads such fields from front to back. Every Read… returns false, and moves nothing, where the
// bytes end too early or a varint is longer than 64 bits. Views point into the bytes it was given.
// Thread safety: none.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }
  bool done() const { return remaining() == 0; }
  std::string_view rest() const { return bytes_.substr(offset_); }

  bool ReadByte(uint8_t* value) {
    if (done()) return false;
    *value = static_cast<uint8_t>(bytes_[offset_++]);
    return true;
  }
  bool ReadUvarint(uint64_t* value) {
    uint64_t result = 0;
    for (size_t i = 0; i < kUvarintBytesMax && i < remaining(); ++i) {
      const uint8_t byte = static_cast<uint8_t>(bytes_[offset_ + i]);
      if (i == kUvarintBytesMax - 1 && byte > 1) return false;
      result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        offset_ += i + 1;
        *value = result;
        return true;
      }
    }
    return false;
  }
  bool ReadVarint(int64_t* value) {
    uint64_t raw;
    if (!ReadUvarint(&raw)) return false;
    *value = UnZigZag(raw);
    return true;
  }
  template <typename T>
  bool ReadBig(T* value) {
    if (remaining() < sizeof *value) return false;
    *value = LoadBig<T>(bytes_.data() + offset_);
    offset_ += sizeof *value;
    return true;
  }
  template <typename T>
  bool ReadLittle(T* value) {
    if (remaining() < sizeof *value) return false;
    *value = LoadLittle<T>(bytes_.data() + offset_);
    offset_ += sizeof *value;
    return true;
  }
  bool ReadBytes(size_t size, std::string_view* bytes) {
    if (remaining() < size) return false;
    *bytes = bytes_.substr(offset_, size);
    offset_ += size;
    return true;
  }
  bool ReadLengthPrefixed(std::string_view* bytes) {
    const size_t start = offset_;
    uint64_t size;
    if (ReadUvarint(&size) && size <= remaining())
      return ReadBytes(static_cast<size_t>(size), bytes);
    offset_ = start;
    return false;
  }

 private:
  std::string_view bytes_;
  size_t offset_ = 0;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_CODING_H_
