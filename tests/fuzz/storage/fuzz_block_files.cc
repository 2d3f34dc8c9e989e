// Any bytes as each of the small files of a block. The first byte chooses: meta.json, tombstones, a
// chunk segment. What is read comes back from being written again.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "services/storage/tsdb/block_meta.h"
#include "services/storage/tsdb/chunks/reader.h"
#include "services/storage/tsdb/tombstones.h"
#include "services/storage/tsdb/ulid.h"

namespace narthex::tsdb {
namespace {

void Meta(std::string_view bytes) {
  const auto meta = ParseBlockMeta(bytes);
  if (!meta.ok()) return;
  NARTHEX_CHECK(Ulid::Parse(meta->ulid)->ToString() == meta->ulid);
  const std::string text = FormatBlockMeta(*meta);
  const auto again = ParseBlockMeta(text);
  NARTHEX_CHECK(again.ok());
  NARTHEX_CHECK(FormatBlockMeta(*again) == text);
}

// The fuzzer gives the entries; header and checksum are made here.
void Entries(std::string_view entries) {
  std::string file("\x01\x30\xba\x30\x01", 5);
  file.append(entries);
  AppendBig(&file, Crc32c(entries));
  const auto tombstones = DecodeTombstones(file);
  if (!tombstones.ok()) return;
  for (const auto& [series, intervals] : tombstones->all()) {
    for (size_t i = 0; i < intervals.size(); ++i) {
      NARTHEX_CHECK(intervals[i].min_time <= intervals[i].max_time);
      NARTHEX_CHECK(i == 0 || intervals[i - 1].max_time < intervals[i].min_time - 1);
    }
  }
  const auto again = DecodeTombstones(EncodeTombstones(*tombstones));
  NARTHEX_CHECK(again.ok());
  NARTHEX_CHECK(again->size() == tombstones->size());
}

void Segment(std::string_view bytes) {
  chunks::CheckSegmentHeader(bytes).IgnoreError();
  uint64_t offset = chunks::kHeaderSize;
  chunks::StoredChunk chunk;
  uint64_t end = 0;
  while (chunks::ReadChunkAt(bytes, offset, &chunk, &end).ok()) {
    NARTHEX_CHECK(!chunk.bytes.empty());
    NARTHEX_CHECK(end > offset && end <= bytes.size());
    offset = end;
  }
}

}  // namespace
}  // namespace narthex::tsdb

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      narthex::tsdb::Meta(bytes);
      break;
    case 1:
      narthex::tsdb::Entries(bytes);
      narthex::tsdb::DecodeTombstones(bytes).status().IgnoreError();
      break;
    default:
      narthex::tsdb::Segment(bytes);
  }
  return 0;
}
