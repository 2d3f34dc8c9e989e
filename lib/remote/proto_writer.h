#ifndef NARTHEX_LIB_REMOTE_PROTO_WRITER_H_
#define NARTHEX_LIB_REMOTE_PROTO_WRITER_H_

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/coding.h"

namespace narthex::remote {

// Appends the fields of Protocol Buffers messages to a string. Scalars that are zero are left out,
// as proto3 writes them; Always…() writes them all the same, for members of a oneof and for
// optional fields.
//
// A message within a message goes between Begin() and End(): its length is put in front afterwards.
// Thread safety: none.
class ProtoWriter {
 public:
  explicit ProtoWriter(std::string* out) : out_(out) {}

  void Uint64(uint32_t field, uint64_t value) {
    if (value != 0) AlwaysUint64(field, value);
  }
  void AlwaysUint64(uint32_t field, uint64_t value) {
    AppendUvarint(out_, field << 3);
    AppendUvarint(out_, value);
  }
  void Int64(uint32_t field, int64_t value) { Uint64(field, static_cast<uint64_t>(value)); }
  void Sint64(uint32_t field, int64_t value) { Uint64(field, ZigZag(value)); }
  void Double(uint32_t field, double value) {
    if (std::bit_cast<uint64_t>(value) != 0) AlwaysDouble(field, value);
  }
  void AlwaysDouble(uint32_t field, double value) {
    AppendUvarint(out_, field << 3 | 1);
    AppendLittle(out_, std::bit_cast<uint64_t>(value));
  }
  void Bytes(uint32_t field, std::string_view bytes) {
    if (!bytes.empty()) AlwaysBytes(field, bytes);
  }
  void AlwaysBytes(uint32_t field, std::string_view bytes) {
    AppendUvarint(out_, field << 3 | 2);
    AppendLengthPrefixed(out_, bytes);
  }

  // The place of a message that has begun.
  using Mark = size_t;
  [[nodiscard]] Mark Begin(uint32_t field) {
    AppendUvarint(out_, field << 3 | 2);
    const Mark mark = out_->size();
    // One byte is the length of most messages; others move by what theirs needs.
    out_->push_back('\0');
    return mark;
  }
  void End(Mark mark) {
    NARTHEX_CHECK(mark < out_->size());
    const uint64_t size = out_->size() - mark - 1;
    uint8_t length[kUvarintBytesMax];
    const size_t bytes = EncodeUvarint(length, size);
    if (bytes > 1) out_->insert(mark, bytes - 1, '\0');
    for (size_t i = 0; i < bytes; ++i) (*out_)[mark + i] = static_cast<char>(length[i]);
  }

 private:
  std::string* const out_;
};

}  // namespace narthex::remote

#endif  // NARTHEX_LIB_REMOTE_PROTO_WRITER_H_
