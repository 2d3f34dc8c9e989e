// Any bytes as the sections of a snapshot, with right checksums: what is accepted can be gone
// through, and everything else is an error.
//
// The input is cut into sections: u8 type, u8 length, bytes.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "services/storage/tsdb/head_snapshot.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {
namespace {

constexpr char kPath[] = "/head_snapshot";
constexpr uint8_t kEnd = 8;

void AddSection(uint8_t type, std::string_view body, std::string* file) {
  std::string header(1, static_cast<char>(type));
  AppendBig(&header, static_cast<uint32_t>(body.size()));
  AppendBig(&header, ExtendCrc32c(Crc32c(header), body));
  file->append(header);
  file->append(body);
}

void Try(std::string_view input) {
  FaultFileSystem fs;
  // As it is, first.
  NARTHEX_CHECK_OK(fs.WriteFileAtomically(kPath, input));
  HeadSnapshot::Open(&fs, kPath).status().IgnoreError();

  std::string file("NTHXHEAD\x02", 9);
  uint64_t sections = 0;
  while (input.size() >= 2) {
    const uint8_t type = static_cast<uint8_t>(input[0]);
    const size_t size = static_cast<uint8_t>(input[1]);
    input.remove_prefix(2);
    const std::string_view body = input.substr(0, size);
    input.remove_prefix(body.size());
    if (type == kEnd) continue;
    AddSection(type, body, &file);
    ++sections;
  }
  std::string end;
  AppendUvarint(&end, sections);
  AddSection(kEnd, end, &file);
  NARTHEX_CHECK_OK(fs.WriteFileAtomically(kPath, file));
  const absl::StatusOr<std::unique_ptr<HeadSnapshot>> snapshot = HeadSnapshot::Open(&fs, kPath);
  if (!snapshot.ok()) {
    NARTHEX_CHECK(snapshot.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  // There is no chunk that it could lead to.
  HeadChunks chunks;
  (*snapshot)->HoldChunks(&chunks);
}

}  // namespace
}  // namespace narthex::tsdb

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  narthex::tsdb::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
