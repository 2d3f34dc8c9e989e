// Any bytes as an append batch: what decodes is sound, and comes back from being written again.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/labels/labels.h"
#include "lib/storage/append_batch.h"

using narthex::storage::AppendBatch;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  AppendBatch batch;
  if (!narthex::storage::DecodeAppendBatch({reinterpret_cast<const char*>(data), size}, &batch)
           .ok()) {
    return 0;
  }
  narthex::storage::AppendBatchWriter writer;
  writer.Clear(batch.base_timestamp);
  size_t definition = 0;
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    if (batch.refs[i] != 0) {
      writer.Add(batch.refs[i], batch.timestamp(i), batch.values[i]);
      continue;
    }
    const AppendBatch::Definition& defined = batch.definitions[definition++];
    writer.AddWithDefinition(defined.number, narthex::Labels::FromSorted(defined.labels),
                             batch.timestamp(i), batch.values[i]);
  }
  const std::string written = writer.Finish();
  AppendBatch again;
  NARTHEX_CHECK_OK(narthex::storage::DecodeAppendBatch(written, &again));
  NARTHEX_CHECK(again.refs == batch.refs);
  NARTHEX_CHECK(again.definitions.size() == batch.definitions.size());
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    NARTHEX_CHECK(again.timestamp(i) == batch.timestamp(i));
    NARTHEX_CHECK(std::bit_cast<uint64_t>(again.values[i]) ==
                  std::bit_cast<uint64_t>(batch.values[i]));
  }
  return 0;
}
