#ifndef NARTHEX_SERVICES_STORAGE_SELECT_ANSWER_H_
#define NARTHEX_SERVICES_STORAGE_SELECT_ANSWER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "lib/chunkenc/chunk_writer.h"
#include "lib/storage/select_frame.h"
#include "lib/storage/storage.h"
#include "services/storage/tsdb/querier.h"

namespace narthex::storage_service {

// Answers the selectors of one Select, without the transport: finds the series, and packs their
// chunks as they lie in memory into frames of about a megabyte.
//
// Thread safety: none. All selectors are read at the moment of `reader`.
class SelectAnswer {
 public:
  // Less than a megabyte by what one more series of ordinary size can add.
  static constexpr size_t kFrameBytes = (size_t{1} << 20) - (size_t{32} << 10);

  // Takes a frame of the selector with this index; an error ends the answer.
  using Sink = std::function<absl::Status(uint32_t selector, std::string frame)>;

  // All must outlive it.
  SelectAnswer(const tsdb::DbReader* reader, const storage::SelectOptions* options, Clock* clock,
               Sink sink);

  absl::Status Answer(uint32_t index, const storage::Selector& selector);

 private:
  // Packs one series, if it has something to answer.
  absl::Status AddSeries(tsdb::SeriesCursor* cursor, const storage::SelectHints& hints,
                         uint64_t* samples);
  void StartSeries(const tsdb::SeriesCursor& cursor);

  const tsdb::DbReader* const reader_;
  const storage::SelectOptions* const options_;
  const Sink sink_;
  tsdb::SelectBudget budget_;
  storage::SelectFrameWriter frame_;
  // Kept for their memory.
  SampleBuffer samples_;
  chunkenc::ChunkWriter writer_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_SELECT_ANSWER_H_
