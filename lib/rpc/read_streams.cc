#include "lib/rpc/read_streams.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/status.h"
#include "lib/rpc/unary_call.h"

namespace narthex::rpc {
namespace {

// Streams that are kept for later questions: each costs the node a thread that sleeps.
constexpr size_t kIdleMax = 8;
constexpr absl::Duration kIdleTime = absl::Minutes(1);
// Short enough that a client that has left is noticed; an answer wakes the waiter at once.
constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

}  // namespace

struct ReadStreams::Stream {
  ~Stream() {
    context.TryCancel();
    queue.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
    }
  }

  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::ReadRequest, v1::ReadResponse>> call;
  v1::ReadResponse next;
  // Operations that are under way; their addresses are the tags.
  bool writing = false;
  bool reading = false;
  bool finishing = false;
  bool used = false;  // An answer came on it to its end.
  absl::Duration idle_since;
};

ReadStreams::ReadStreams(const std::string& endpoint, absl::Duration silence_max)
    : silence_max_(silence_max),
      channel_(MakeChannel(endpoint)),
      stub_(v1::Storage::NewStub(channel_)) {}

ReadStreams::~ReadStreams() = default;

std::unique_ptr<ReadStreams::Stream> ReadStreams::Take() {
  {
    MutexLock lock(&mu_);
    if (!idle_.empty()) {
      std::unique_ptr<Stream> stream = std::move(idle_.back());
      idle_.pop_back();
      return stream;
    }
  }
  return Open();
}

std::unique_ptr<ReadStreams::Stream> ReadStreams::Open() {
  WakeChannel(channel_.get());
  auto stream = std::make_unique<Stream>();
  // The headers go with the first question.
  stream->context.set_initial_metadata_corked(true);
  stream->call = stub_->PrepareAsyncRead(&stream->context, &stream->queue);
  stream->call->StartCall(nullptr);
  return stream;
}

void ReadStreams::Put(std::unique_ptr<Stream> stream) {
  stream->used = true;
  stream->idle_since = RealClock()->Monotonic();
  std::vector<std::unique_ptr<Stream>> closed;  // Outside of the lock.
  MutexLock lock(&mu_);
  idle_.push_back(std::move(stream));
  const absl::Duration oldest = idle_.back()->idle_since - kIdleTime;
  size_t close = idle_.size() > kIdleMax ? idle_.size() - kIdleMax : 0;
  while (close < idle_.size() && idle_[close]->idle_since < oldest) ++close;
  const auto end = idle_.begin() + static_cast<std::ptrdiff_t>(close);
  closed.assign(std::make_move_iterator(idle_.begin()), std::make_move_iterator(end));
  idle_.erase(idle_.begin(), end);
}

ReadCall::ReadCall(ReadStreams* streams, v1::ReadRequest request, absl::Time deadline,
                   std::function<bool()> cancelled)
    : streams_(streams),
      request_(std::move(request)),
      deadline_(deadline),
      cancelled_(std::move(cancelled)),
      stream_(streams->Take()) {
  Send();
}

ReadCall::~ReadCall() = default;

void ReadCall::Send() {
  stream_->call->Write(request_, &stream_->writing);
  stream_->writing = true;
  StartRead();
}

void ReadCall::StartRead() {
  stream_->next.Clear();
  stream_->call->Read(&stream_->next, &stream_->reading);
  stream_->reading = true;
}

bool ReadCall::Wait(const bool* pending) {
  const absl::Time silent_until = RealClock()->Now() + streams_->silence_max_;
  while (*pending) {
    const absl::Time now = RealClock()->Now();
    if (!gave_up_) {
      if (cancelled_ && cancelled_()) {
        status_ = Cancelled("the query was cancelled");
      } else if (now >= deadline_) {
        status_ = DeadlineExceeded("no answer within the time of the query");
      } else if (now >= silent_until) {
        status_ =
            DeadlineExceeded("no answer within ", absl::FormatDuration(streams_->silence_max_));
      }
      gave_up_ = !status_.ok();
      if (gave_up_) stream_->context.TryCancel();
    }
    void* tag = nullptr;
    bool ok = false;
    // What was cancelled ends at once.
    const absl::Time until = gave_up_ ? absl::InfiniteFuture()
                                      : std::min({now + kPollInterval, deadline_, silent_until});
    if (stream_->queue.AsyncNext(&tag, &ok, absl::ToChronoTime(until)) !=
        grpc::CompletionQueue::GOT_EVENT) {
      continue;
    }
    *static_cast<bool*>(tag) = false;
    if (tag == pending) return ok;
  }
  return false;
}

void ReadCall::Break(absl::Status status) {
  stream_.reset();
  if (status_.ok()) status_ = std::move(status);
}

bool ReadCall::Read(v1::ReadResponse* response) {
  if (stream_ == nullptr) return false;
  while (!Wait(&stream_->reading)) {
    grpc::Status status;
    stream_->call->Finish(&status, &stream_->finishing);
    stream_->finishing = true;
    Wait(&stream_->finishing);
    if (!gave_up_ && !heard_ && stream_->used) {
      stream_ = streams_->Open();
      Send();
      continue;
    }
    absl::Status broken = FromGrpc(status);
    // The other end was stopped while it answered; nobody here cancels.
    if (broken.ok() || absl::IsCancelled(broken)) {
      broken = Unavailable("the call was cut off: ", Message(broken));
    }
    Break(std::move(broken));
    return false;
  }
  heard_ = true;
  response->Swap(&stream_->next);
  if (!response->has_end()) {
    StartRead();
    return true;
  }
  const v1::ReadEnd& end = response->end();
  if (end.code() != 0) {
    status_ = absl::Status(static_cast<absl::StatusCode>(end.code()), end.message());
  }
  // The question has long gone out; its event may still be in the queue.
  Wait(&stream_->writing);
  if (gave_up_) {
    stream_.reset();
  } else {
    streams_->Put(std::move(stream_));
  }
  return end.code() == 0;
}

}  // namespace narthex::rpc
