#include "services/alertmanager/snapshot/protobuf.h"

#include "lib/base/coding.h"

namespace narthex::snapshot {
namespace {

constexpr uint64_t kVarint = 0;
constexpr uint64_t kFixed64 = 1;
constexpr uint64_t kDelimited = 2;
constexpr uint64_t kFixed32 = 5;

}  // namespace

void MessageWriter::Varint(uint32_t field, uint64_t value) {
  if (value == 0) return;
  AppendUvarint(&out_, (uint64_t{field} << 3U) | kVarint);
  AppendUvarint(&out_, value);
}

void MessageWriter::Bytes(uint32_t field, std::string_view value) {
  if (!value.empty()) Message(field, value);
}

void MessageWriter::Message(uint32_t field, std::string_view encoded) {
  AppendUvarint(&out_, (uint64_t{field} << 3U) | kDelimited);
  AppendLengthPrefixed(&out_, encoded);
}

void MessageWriter::Time(uint32_t field, absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);  // Rounded down, so the rest is positive.
  MessageWriter message;
  message.Varint(1, static_cast<uint64_t>(seconds));
  message.Varint(
      2, static_cast<uint64_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  Message(field, message.bytes());
}

bool MessageReader::Next() {
  if (!ok_ || rest_.empty()) return false;
  ByteReader reader(rest_);
  uint64_t tag = 0;
  ok_ = reader.ReadUvarint(&tag) && (tag >> 3U) != 0 && (tag >> 3U) <= 0x1FFFFFFF;
  if (!ok_) return false;
  field_ = static_cast<uint32_t>(tag >> 3U);
  varint_ = 0;
  bytes_ = {};
  std::string_view skipped;
  switch (tag & 7U) {
    case kVarint:
      ok_ = reader.ReadUvarint(&varint_);
      break;
    case kDelimited:
      ok_ = reader.ReadLengthPrefixed(&bytes_);
      break;
    case kFixed64:
      ok_ = reader.ReadBytes(8, &skipped);
      break;
    case kFixed32:
      ok_ = reader.ReadBytes(4, &skipped);
      break;
    default:
      ok_ = false;
  }
  rest_ = rest_.substr(rest_.size() - reader.remaining());
  return ok_;
}

absl::Time MessageReader::time() {
  MessageReader message(bytes_);
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
  while (message.Next()) {
    if (message.field() == 1) seconds = static_cast<int64_t>(message.varint());
    if (message.field() == 2) nanoseconds = static_cast<int64_t>(message.varint());
  }
  if (!message.ok()) ok_ = false;
  return absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanoseconds);
}

}  // namespace narthex::snapshot
