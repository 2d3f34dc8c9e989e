#include "lib/base/coding.h"

#include <limits>
#include <string>
#include <vector>

#include "catch2/catch.hpp"

namespace narthex {
namespace {

TEST_CASE("varints have the bytes of LEB128 and come back") {
  const std::vector<std::pair<uint64_t, std::string>> cases = {
      {0, {"\0", 1}},
      {1, "\x01"},
      {127, "\x7f"},
      {128, "\x80\x01"},
      {300, "\xac\x02"},
      {uint64_t{1} << 63, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
      {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
  };
  for (const auto& [value, bytes] : cases) {
    std::string out;
    AppendUvarint(&out, value);
    CHECK(out == bytes);
    ByteReader reader(out);
    uint64_t read = 0;
    CHECK(reader.ReadUvarint(&read));
    CHECK(read == value);
    CHECK(reader.done());
    // Every truncation is refused and moves nothing.
    for (size_t size = 0; size < bytes.size(); ++size) {
      ByteReader cut(std::string_view(bytes).substr(0, size));
      CHECK_FALSE(cut.ReadUvarint(&read));
      CHECK(cut.offset() == 0);
    }
  }
}

TEST_CASE("signed varints keep small numbers of both signs short") {
  const int64_t min = std::numeric_limits<int64_t>::min();
  const int64_t max = std::numeric_limits<int64_t>::max();
  const std::vector<std::pair<int64_t, size_t>> cases = {
      {0, 1}, {-1, 1}, {1, 1}, {-64, 1}, {63, 1}, {-65, 2}, {64, 2}, {min, 10}, {max, 10}};
  for (const auto& [value, size] : cases) {
    std::string out;
    AppendVarint(&out, value);
    CHECK(out.size() == size);
    ByteReader reader(out);
    int64_t read = 0;
    CHECK(reader.ReadVarint(&read));
    CHECK(read == value);
    CHECK(UnZigZag(ZigZag(value)) == value);
  }
}

TEST_CASE("a varint of more than 64 bits is refused") {
  uint64_t value = 0;
  for (const std::string bytes : {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                                  "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"}) {
    ByteReader reader(bytes);
    CHECK_FALSE(reader.ReadUvarint(&value));
    CHECK(reader.offset() == 0);
  }
}

TEST_CASE("fixed numbers have their bytes in the order asked for") {
  std::string out;
  AppendBig(&out, uint16_t{0x0102});
  AppendBig(&out, uint32_t{0x01020304});
  AppendBig(&out, uint64_t{0x0102030405060708});
  AppendLittle(&out, uint32_t{0x01020304});
  CHECK(out == std::string("\1\2\1\2\3\4\1\2\3\4\5\6\7\x08\4\3\2\1"));
  ByteReader reader(out);
  uint16_t small = 0;
  uint32_t middle = 0;
  uint64_t large = 0;
  CHECK(reader.ReadBig(&small));
  CHECK(small == 0x0102);
  CHECK(reader.ReadBig(&middle));
  CHECK(middle == 0x01020304);
  CHECK(reader.ReadBig(&large));
  CHECK(large == 0x0102030405060708);
  CHECK(reader.ReadLittle(&middle));
  CHECK(middle == 0x01020304);
  CHECK_FALSE(reader.ReadBig(&small));
  CHECK(reader.offset() == out.size());
}

TEST_CASE("texts with their length are read whole or not at all") {
  std::string out;
  AppendLengthPrefixed(&out, "abc");
  AppendLengthPrefixed(&out, "");
  out += '\x05';
  out += "xy";
  ByteReader reader(out);
  std::string_view text = "before";
  CHECK(reader.ReadLengthPrefixed(&text));
  CHECK(text == "abc");
  CHECK(reader.ReadLengthPrefixed(&text));
  CHECK(text.empty());
  const size_t offset = reader.offset();
  CHECK_FALSE(reader.ReadLengthPrefixed(&text));
  CHECK(reader.offset() == offset);
  CHECK(reader.remaining() == 3);
  uint8_t byte = 0;
  CHECK(reader.ReadByte(&byte));
  CHECK(byte == 5);
  CHECK(reader.rest() == "xy");
  CHECK_FALSE(reader.ReadBytes(3, &text));
  CHECK(reader.ReadBytes(2, &text));
  CHECK_FALSE(reader.ReadByte(&byte));
}

}  // namespace
}  // namespace narthex
