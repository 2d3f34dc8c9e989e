#ifndef NARTHEX_LIB_RPC_READ_STREAMS_H_
#define NARTHEX_LIB_RPC_READ_STREAMS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "narthex/v1/storage.grpc.pb.h"

namespace narthex::rpc {

// The open streams of Storage.Read to one node. Opening a call costs several times what a small
// question costs, so streams are kept for the next question when an answer is complete.
//
// Thread safety: all methods may be called from any thread.
class ReadStreams {
 public:
  // A question that hears nothing from the node for `silence_max` fails.
  ReadStreams(const std::string& endpoint, absl::Duration silence_max);
  ~ReadStreams();
  ReadStreams(const ReadStreams&) = delete;
  ReadStreams& operator=(const ReadStreams&) = delete;

  grpc::Channel* channel() { return channel_.get(); }
  v1::Storage::Stub* stub() { return stub_.get(); }

 private:
  friend class ReadCall;
  struct Stream;

  // A stream that waits for a question, or a new one.
  std::unique_ptr<Stream> Take();
  std::unique_ptr<Stream> Open();
  void Put(std::unique_ptr<Stream> stream);

  // Constant after construction.
  const absl::Duration silence_max_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Storage::Stub> stub_;

  Mutex mu_;
  std::vector<std::unique_ptr<Stream>> idle_ ABSL_GUARDED_BY(mu_);  // The last used at the end.
};

// One question and its answer, read on the caller's own thread while `cancelled` is polled every 20
// ms. The next message is asked for before the present one is handed out, so the node sends while
// the caller works. Destroying it before the end ends the work at the node.
//
// A stream that broke while it was idle is no error: the question is asked again.
//
// Thread safety: none.
class ReadCall {
 public:
  // Sends the question. `streams` must outlive the call; `cancelled` may be empty.
  ReadCall(ReadStreams* streams, v1::ReadRequest request, absl::Time deadline,
           std::function<bool()> cancelled);
  ~ReadCall();
  ReadCall(const ReadCall&) = delete;
  ReadCall& operator=(const ReadCall&) = delete;

  // The next message; false when there is none any more: see status().
  bool Read(v1::ReadResponse* response);
  // OK until Read() has returned false, and then what the answer ended with.
  const absl::Status& status() const { return status_; }

 private:
  void Send();
  void StartRead();
  // Waits for the operation behind `pending`; whether it succeeded.
  bool Wait(const bool* pending);
  // The stream is not good for another question.
  void Break(absl::Status status);

  ReadStreams* const streams_;
  const v1::ReadRequest request_;
  const absl::Time deadline_;
  const std::function<bool()> cancelled_;

  std::unique_ptr<ReadStreams::Stream> stream_;  // Null after the end.
  bool heard_ = false;                           // Something of the answer has come.
  bool gave_up_ = false;                         // status_ says why.
  absl::Status status_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_READ_STREAMS_H_
