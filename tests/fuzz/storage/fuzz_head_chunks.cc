// Any bytes as a file of chunks_head: reading stays within them, ends, and what it finds is where
// it says, with the bytes whose checksum it checked.
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "services/storage/tsdb/head_chunks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::tsdb::DecodeHeadChunk;
  using narthex::tsdb::HeadChunk;
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  if (!narthex::tsdb::CheckHeadChunksHeader(file).ok()) return 0;
  uint64_t offset = narthex::tsdb::kHeadChunksHeaderSize;
  while (true) {
    HeadChunk chunk;
    uint64_t next = 0;
    bool torn = false;
    if (!DecodeHeadChunk(file, offset, &chunk, &next, &torn).ok() || next == 0) break;
    NARTHEX_CHECK(next > offset && next <= size);
    NARTHEX_CHECK(chunk.bytes.data() >= file.data() + offset);
    NARTHEX_CHECK(chunk.bytes.data() + chunk.bytes.size() <= file.data() + next);
    HeadChunk again;
    uint64_t next_again = 0;
    NARTHEX_CHECK_OK(DecodeHeadChunk(file.substr(0, next), offset, &again, &next_again, &torn));
    NARTHEX_CHECK(next_again == next && again.bytes == chunk.bytes);
    offset = next;
  }
  return 0;
}
