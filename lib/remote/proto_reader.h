#ifndef NARTHEX_LIB_REMOTE_PROTO_READER_H_
#define NARTHEX_LIB_REMOTE_PROTO_READER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/coding.h"

namespace narthex::remote {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Walks the fields of one Protocol Buffers message, front to back, without copying: the messages of
// remote write hold more fields than would bear an object each.
//
//   ProtoReader reader(bytes);
//   while (reader.Next()) {
//     if (reader.Is(1, WireType::kBytes)) {
//       name = reader.bytes();
//     }
//   }
//   if (reader.failed()) …
//
// Next() takes the value along, so a field that nobody asks about is skipped. A field that is known
// under another wire type is malformed, as it is for generated code of Go; Is() says so and ends
// the walk. Groups are malformed. Views point into the bytes. Thread safety: none.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  // Goes to the next field; false at the end, or where the bytes are malformed.
  bool Next() {
    if (at_ == end_) return false;
    uint64_t tag;
    if (!ReadVarint(&tag) || tag >> 32 != 0 || tag >> 3 == 0) return Fail();
    field_ = static_cast<uint32_t>(tag >> 3);
    wire_type_ = static_cast<WireType>(tag & 7);
    switch (tag & 7) {
      case 0:
        return ReadVarint(&number_) || Fail();
      case 1:
        if (end_ - at_ < 8) return Fail();
        number_ = LoadLittle<uint64_t>(at_);
        at_ += 8;
        return true;
      case 2: {
        uint64_t size;
        if (!ReadVarint(&size) || size > static_cast<uint64_t>(end_ - at_)) return Fail();
        bytes_ = {reinterpret_cast<const char*>(at_), static_cast<size_t>(size)};
        at_ += size;
        return true;
      }
      case 5:
        if (end_ - at_ < 4) return Fail();
        number_ = LoadLittle<uint32_t>(at_);
        at_ += 4;
        return true;
      default:
        return Fail();
    }
  }

  uint32_t field() const { return field_; }
  WireType wire_type() const { return wire_type_; }
  // Whether this is field `field`. When it is, but not as `type`, the walk fails.
  bool Is(uint32_t field, WireType type) {
    if (field_ != field) return false;
    if (wire_type_ == type) return true;
    Fail();
    return false;
  }

  // The value of the current field, by its wire type.
  uint64_t number() const { return number_; }
  int64_t int64() const { return static_cast<int64_t>(number_); }
  int64_t sint64() const { return UnZigZag(number_); }
  double real() const { return std::bit_cast<double>(number_); }
  bool boolean() const { return number_ != 0; }
  std::string_view bytes() const { return bytes_; }

  // The bytes were malformed somewhere up to here.
  bool failed() const { return failed_; }
  // What is not walked yet; the start of the next field.
  std::string_view rest() const {
    return {reinterpret_cast<const char*>(at_), static_cast<size_t>(end_ - at_)};
  }

 private:
  bool ReadVarint(uint64_t* value) {
    if (at_ != end_ && *at_ < 0x80) {
      *value = *at_++;
      return true;
    }
    return ReadLongVarint(value);
  }
  bool ReadLongVarint(uint64_t* value) {
    uint64_t result = 0;
    for (int shift = 0; shift < 70 && at_ != end_; shift += 7) {
      const uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) return false;
      result |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        *value = result;
        return true;
      }
    }
    return false;
  }
  bool Fail() {
    failed_ = true;
    at_ = end_;
    return false;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  uint32_t field_ = 0;
  WireType wire_type_ = WireType::kVarint;
  bool failed_ = false;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

// Visits the numbers of a repeated scalar field that may be packed or not: `visit` takes the
// uint64_t of each. False where the bytes are malformed.
template <typename Visit>
bool VisitVarints(const ProtoReader& field, Visit visit) {
  if (field.wire_type() == WireType::kVarint) {
    visit(field.number());
    return true;
  }
  if (field.wire_type() != WireType::kBytes) return false;
  ByteReader reader(field.bytes());
  while (!reader.done()) {
    uint64_t value;
    if (!reader.ReadUvarint(&value)) return false;
    visit(value);
  }
  return true;
}
template <typename Visit>
bool VisitFixed64(const ProtoReader& field, Visit visit) {
  if (field.wire_type() == WireType::kFixed64) {
    visit(field.number());
    return true;
  }
  if (field.wire_type() != WireType::kBytes || field.bytes().size() % 8 != 0) return false;
  for (size_t at = 0; at < field.bytes().size(); at += 8) {
    visit(LoadLittle<uint64_t>(field.bytes().data() + at));
  }
  return true;
}

}  // namespace narthex::remote

#endif  // NARTHEX_LIB_REMOTE_PROTO_READER_H_
