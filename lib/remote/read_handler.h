#ifndef NARTHEX_LIB_REMOTE_READ_HANDLER_H_
#define NARTHEX_LIB_REMOTE_READ_HANDLER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "lib/base/mutex.h"
#include "lib/http/message.h"
#include "lib/labels/labels.h"
#include "lib/metrics/registry.h"
#include "lib/remote/read_request.h"
#include "lib/storage/storage.h"

namespace narthex::remote {

struct ReadHandlerOptions {
  storage::Querier* querier = nullptr;
  // Added to series that lack them, and taken out of matchers.
  std::function<Labels()> external_labels;
  metrics::Registry* registry = nullptr;
  // Upstream's --storage.remote.read-*: samples of one query in an answer of samples,
  // requests at once (0: no bound, of both), bytes of a frame.
  uint64_t samples_max = 50'000'000;
  int concurrency_max = 10;
  size_t frame_bytes_max = size_t{1} << 20;
  size_t message_bytes_max = size_t{32} << 20;
};

// POST /api/v1/read: remote read in both kinds of answer, over any Querier.
//
// Samples come as one snappy message; chunks as frames (uv length, big-endian CRC-32C of the
// message, message) of one series each, in label order, encoded anew from the merged samples. An
// error after the first frame breaks the connection off.
//
// Thread safety: Handle() may be called from any thread.
class ReadHandler {
 public:
  // The pointees must outlive it.
  explicit ReadHandler(ReadHandlerOptions options);
  ~ReadHandler();

  http::ServerResponse Handle(const http::ServerRequest& request);

 private:
  class Slot;
  http::ServerResponse AnswerSamples(const ReadRequest& read,
                                     const std::function<bool()>& cancelled);
  http::ServerResponse AnswerChunks(std::shared_ptr<const ReadRequest> read,
                                    std::shared_ptr<Slot> slot,
                                    const std::function<bool()>& cancelled);
  Labels ExternalLabels() const;

  // Constant after construction.
  const ReadHandlerOptions options_;
  metrics::Gauge* const queries_;

  Mutex mu_;
  CondVar slot_free_;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::remote

#endif  // NARTHEX_LIB_REMOTE_READ_HANDLER_H_
