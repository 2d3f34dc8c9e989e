#ifndef NARTHEX_LIB_RPC_RESPONSE_STREAM_H_
#define NARTHEX_LIB_RPC_RESPONSE_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/rpc/status.h"

namespace narthex::rpc {

// Reads the answers of a call that streams them, on the caller's own thread, while `cancelled` is
// polled. The next message is asked for before the present one is handed out, so the node sends
// while the caller works. Destroying it ends the call.
//
// Thread safety: none.
template <typename Response>
class ResponseStream {
 public:
  // `prepare(context, queue)` calls the stub's PrepareAsync… and returns its reader.
  using Reader = std::unique_ptr<grpc::ClientAsyncReader<Response>>;
  using Prepare = std::function<Reader(grpc::ClientContext*, grpc::CompletionQueue*)>;

  ResponseStream(const Prepare& prepare, absl::Time deadline, std::function<bool()> cancelled)
      : cancelled_(std::move(cancelled)) {
    if (deadline != absl::InfiniteFuture()) context_.set_deadline(absl::ToChronoTime(deadline));
    reader_ = prepare(&context_, &queue_);
    reader_->StartCall(Tag());
    pending_ = true;
    if (Wait()) StartRead();
  }

  ~ResponseStream() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  ResponseStream(const ResponseStream&) = delete;
  ResponseStream& operator=(const ResponseStream&) = delete;

  // The next message in *response; false at the end or after an error: see status().
  bool Read(Response* response) {
    if (finished_) return false;
    PollCancelled();
    if (!pending_ || !Wait()) {
      Finish();
      return false;
    }
    response->Swap(&next_);
    StartRead();
    return true;
  }

  // OK until Read() has returned false.
  const absl::Status& status() const { return status_; }

 private:
  void* Tag() { return this; }

  void StartRead() {
    next_.Clear();
    reader_->Read(&next_, Tag());
    pending_ = true;
  }

  // Waits for the one operation that is under way; its result.
  bool Wait() {
    NARTHEX_CHECK(pending_);
    void* tag = nullptr;
    bool ok = false;
    while (true) {
      // Short enough that a client that has left is noticed; an answer wakes it at once.
      const auto until = absl::ToChronoTime(RealClock()->Now() + absl::Milliseconds(20));
      switch (queue_.AsyncNext(&tag, &ok, until)) {
        case grpc::CompletionQueue::GOT_EVENT:
          pending_ = false;
          return ok;
        case grpc::CompletionQueue::TIMEOUT:
          break;
        case grpc::CompletionQueue::SHUTDOWN:
          pending_ = false;
          return false;
      }
      PollCancelled();
    }
  }

  void PollCancelled() {
    if (!cancelled_ || was_cancelled_ || finished_ || !cancelled_()) return;
    was_cancelled_ = true;
    context_.TryCancel();
  }

  void Finish() {
    finished_ = true;
    grpc::Status status;
    reader_->Finish(&status, Tag());
    pending_ = true;
    Wait();
    status_ = FromGrpc(status);
    if (was_cancelled_) {
      status_ = Cancelled("the query was cancelled");
    } else if (absl::IsCancelled(status_)) {
      // The other end was stopped while it answered.
      status_ = Unavailable("the call was cut off: ", Message(status_));
    }
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  const std::function<bool()> cancelled_;
  Reader reader_;
  Response next_;
  bool pending_ = false;  // One operation is in the queue.
  bool finished_ = false;
  bool was_cancelled_ = false;
  absl::Status status_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_RESPONSE_STREAM_H_
