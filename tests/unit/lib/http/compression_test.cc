#include "lib/http/compression.h"

#include <zlib.h>
#include <zstd.h>

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::http {
namespace {

std::string Deflate(std::string_view text, int window_bits) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

absl::Status Unpack(std::string_view encoding, std::string_view packed, size_t piece, size_t max,
                    std::string* out) {
  const auto decompressor = Decompressor::Create(encoding);
  REQUIRE(decompressor != nullptr);
  for (size_t i = 0; i < packed.size(); i += piece) {
    const absl::Status status = decompressor->Write(packed.substr(i, piece), max, out);
    if (!status.ok()) return status;
  }
  return decompressor->Finish();
}

std::string SampleText() {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += StrCat("metric_", i * 7919 % 1000, " ", i, "\n");
  return text;
}

struct Coding {
  std::string name;
  std::string packed;
};

std::vector<Coding> Codings(std::string_view text) {
  return {{"gzip", GzipCompress(text)},
          {"X-GZIP", Deflate(text, 15 + 16)},
          {"deflate", Deflate(text, 15)},
          {"deflate", Deflate(text, -15)},
          {"zstd", Zstd(text)}};
}

TEST_CASE("Every coding unpacks whole, in pieces and byte by byte") {
  const std::string text = SampleText();
  for (const Coding& coding : Codings(text)) {
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}, coding.packed.size()}) {
      INFO(coding.name << " in pieces of " << piece);
      std::string out;
      CHECK(Unpack(coding.name, coding.packed, piece, 0, &out).ok());
      CHECK(out == text);
    }
  }
}

TEST_CASE("Every truncation is an unexpected EOF") {
  for (const Coding& coding : Codings("some short text, some short text")) {
    for (size_t size = 0; size < coding.packed.size(); ++size) {
      INFO(coding.name << " cut to " << size);
      std::string out;
      const absl::Status status =
          Unpack(coding.name, std::string_view(coding.packed).substr(0, size), 1000, 0, &out);
      CHECK(Message(status) == "unexpected EOF");
    }
  }
}

TEST_CASE("The bound stops a bomb before it is unpacked") {
  const std::string zeros(64 << 20, '\0');
  for (const Coding& coding : {Coding{"gzip", GzipCompress(zeros)}, Coding{"zstd", Zstd(zeros)}}) {
    INFO(coding.name);
    std::string out;
    const absl::Status status =
        Unpack(coding.name, coding.packed, coding.packed.size(), 1000, &out);
    CHECK(status == BodySizeLimitExceeded());
    CHECK(out.size() < (1 << 20));
  }
  std::string out;
  CHECK(Unpack("gzip", GzipCompress("12345"), 1000, 5, &out).ok());
  out.clear();
  CHECK(Unpack("gzip", GzipCompress("123456"), 1000, 5, &out) == BodySizeLimitExceeded());
}

TEST_CASE("Garbage is an error and several gzip members are one body") {
  std::string out;
  CHECK(absl::IsInvalidArgument(Unpack("gzip", "this is no gzip at all", 1000, 0, &out)));
  CHECK(absl::IsInvalidArgument(Unpack("zstd", "this is no zstd at all", 1000, 0, &out)));
  CHECK(absl::IsInvalidArgument(Unpack("gzip", GzipCompress("a") + "tail", 1000, 0, &out)));
  CHECK(absl::IsInvalidArgument(Unpack("deflate", Deflate("a", 15) + "tail", 1000, 0, &out)));
  out.clear();
  CHECK(Unpack("gzip", GzipCompress("one") + GzipCompress("two"), 7, 0, &out).ok());
  CHECK(out == "onetwo");
  CHECK(Decompressor::Create("snappy") == nullptr);
  CHECK(Decompressor::Create("") == nullptr);
}

TEST_CASE("Accept-Encoding names what answers are packed with, and not with quality zero") {
  const std::vector<std::pair<std::string_view, std::string_view>> tests = {
      {"", ""},
      {"gzip", "gzip"},
      {"deflate, gzip;q=1.0, *;q=0.5", "gzip"},
      {"GZIP", "gzip"},
      {"*", "gzip"},
      {"gzip;q=0", ""},
      {"gzip; q=0.0, *", ""},
      {"*;q=0", ""},
      {"identity", ""},
      {"xgzip", ""},
      {"br, deflate", "deflate"},
      {"deflate;q=0, zstd", "zstd"},
      {"gzip, deflate, br, zstd", "gzip"},
  };
  for (const auto& test : tests) {
    INFO(test.first);
    CHECK(ChooseCoding(test.first) == test.second);
  }
}

TEST_CASE("What is packed in pieces unpacks to the same") {
  std::string text;
  for (int i = 0; i < 100000; ++i) StrAppend(&text, i * 7919 % 10007, ",");
  for (const std::string_view coding : {"gzip", "deflate", "zstd"}) {
    INFO(coding);
    const auto compressor = Compressor::Create(coding);
    REQUIRE(compressor != nullptr);
    std::string packed;
    for (size_t at = 0; at < text.size(); at += 1000) {
      compressor->Write(std::string_view(text).substr(at, 1000), false, &packed);
    }
    compressor->Write("", true, &packed);
    CHECK(packed.size() < text.size() / 2 + 1000);
    std::string out;
    CHECK(Unpack(coding, packed, 777, 0, &out).ok());
    CHECK(out == text);
  }
  CHECK(Compressor::Create("br") == nullptr);
  CHECK(Compressor::Create("") == nullptr);
}

}  // namespace
}  // namespace narthex::http
