// Any bytes as a packed body: the first names the coding, the rest unpacks within the bound or is
// an error, in one piece as byte by byte.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/http/compression.h"

namespace {

constexpr size_t kBytesMax = 100000;

absl::Status Unpack(std::string_view encoding, std::string_view bytes, size_t piece,
                    std::string* out) {
  const auto decompressor = narthex::http::Decompressor::Create(encoding);
  for (size_t i = 0; i < bytes.size(); i += piece) {
    const absl::Status status = decompressor->Write(bytes.substr(i, piece), kBytesMax, out);
    if (!status.ok()) return status;
    NARTHEX_CHECK(out->size() <= kBytesMax);
  }
  return decompressor->Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::string_view kEncodings[] = {"gzip", "deflate", "zstd"};
  if (size == 0) return 0;
  const std::string_view encoding = kEncodings[data[0] % 3];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string whole;
  std::string pieces;
  const absl::Status status = Unpack(encoding, bytes, bytes.size() + 1, &whole);
  NARTHEX_CHECK(Unpack(encoding, bytes, 1, &pieces).ok() == status.ok());
  if (status.ok()) NARTHEX_CHECK(whole == pieces);
  return 0;
}
