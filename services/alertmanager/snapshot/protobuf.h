#ifndef NARTHEX_SERVICES_ALERTMANAGER_SNAPSHOT_PROTOBUF_H_
#define NARTHEX_SERVICES_ALERTMANAGER_SNAPSHOT_PROTOBUF_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"

// Protocol buffers by hand, for the two small messages of the snapshots: engines do not include
// generated code.
namespace narthex::snapshot {

// Appends fields to a message. Zeroes and empty texts are left out, as proto3 does. Thread safety:
// none.
class MessageWriter {
 public:
  void Varint(uint32_t field, uint64_t value);
  void Bytes(uint32_t field, std::string_view value);
  // A message is written even when it is empty.
  void Message(uint32_t field, std::string_view encoded);
  // google.protobuf.Timestamp.
  void Time(uint32_t field, absl::Time time);
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

// Reads the fields of a message from front to back:
//
//   MessageReader reader(bytes);
//   while (reader.Next()) {
//     if (reader.field() == 1) name = reader.bytes();
//   }
//   if (!reader.ok()) …
//
// Views point into the message. Thread safety: none.
class MessageReader {
 public:
  explicit MessageReader(std::string_view bytes) : rest_(bytes) {}

  // False at the end, and where the message is malformed.
  bool Next();
  bool ok() const { return ok_; }
  uint32_t field() const { return field_; }
  // The wire type of the field decides which of the two holds it; the other is 0 or empty.
  uint64_t varint() const { return varint_; }
  std::string_view bytes() const { return bytes_; }
  // A Timestamp message; the epoch when it is malformed (and ok() is false from then on).
  absl::Time time();

 private:
  std::string_view rest_;
  bool ok_ = true;
  uint32_t field_ = 0;
  uint64_t varint_ = 0;
  std::string_view bytes_;
};

}  // namespace narthex::snapshot

#endif  // NARTHEX_SERVICES_ALERTMANAGER_SNAPSHOT_PROTOBUF_H_
