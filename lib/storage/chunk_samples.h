#ifndef NARTHEX_LIB_STORAGE_CHUNK_SAMPLES_H_
#define NARTHEX_LIB_STORAGE_CHUNK_SAMPLES_H_

#include <span>

#include "absl/status/status.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"
#include "lib/storage/select_frame.h"

namespace narthex::storage {

// Appends the visible samples of one series within min_time...max_time (inclusive), those in a
// deleted interval left out, to `out` in time order. Chunks are of any encoding, sorted by
// min_time, and may overlap: of two samples at one time that of the earlier chunk stays. DataLoss
// as of DecodeChunk(); `out` is then as before.
absl::Status ReadChunkSamples(std::span<const SelectChunk> chunks,
                              std::span<const DeletedInterval> deleted, Timestamp min_time,
                              Timestamp max_time, SampleBuffer* out);

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_CHUNK_SAMPLES_H_
