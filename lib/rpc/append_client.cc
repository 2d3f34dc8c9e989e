#include "lib/rpc/append_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/status.h"
#include "lib/storage/reference_column.h"
#include "narthex/v1/storage.grpc.pb.h"

namespace narthex::rpc {
namespace {

// Waits that something else always ends earlier are cut into pieces of this length all the same.
constexpr absl::Duration kIdleWait = absl::Seconds(1);
constexpr absl::Duration kRefusalLogInterval = absl::Minutes(1);

using ClientStream = grpc::ClientReaderWriter<v1::AppendRequest, v1::AppendResponse>;

std::shared_ptr<const storage::NumberedBatch> NoSamples() {
  return std::make_shared<const storage::NumberedBatch>();
}

struct Metrics {
  Metrics(metrics::Registry* registry, const std::string& endpoint)
      : connected(registry->AddGauge("narthex_append_connected",
                                     "Whether the append stream to a storage endpoint is open.",
                                     {{"endpoint", endpoint}})),
        streams(registry->AddCounter("narthex_append_streams_total",
                                     "Append streams opened to a storage endpoint.",
                                     {{"endpoint", endpoint}})),
        batches(registry->AddCounter("narthex_append_batches_total",
                                     "Batches sent, resent ones included.",
                                     {{"endpoint", endpoint}})),
        samples(registry->AddCounter("narthex_append_samples_total",
                                     "Samples sent, resent ones included.",
                                     {{"endpoint", endpoint}})),
        bytes(registry->AddCounter("narthex_append_bytes_total", "Bytes of batches sent.",
                                   {{"endpoint", endpoint}})),
        definitions(registry->AddCounter("narthex_append_definitions_total",
                                         "Samples sent with the labels of their series.",
                                         {{"endpoint", endpoint}})),
        rewinds(registry->AddCounter("narthex_append_rewinds_total",
                                     "Times that storage did not know a reference.",
                                     {{"endpoint", endpoint}})),
        quarantined(registry->AddCounter("narthex_append_quarantined_batches_total",
                                         "Batches that storage could not decode and passed over.",
                                         {{"endpoint", endpoint}})),
        unwanted(registry->AddCounter("narthex_append_unwanted_samples_total",
                                      "Samples not sent because storage refused their series.",
                                      {{"endpoint", endpoint}})) {
    for (int i = 1; i < storage::kRefusalCount; ++i) {
      const auto reason = static_cast<storage::Refusal>(i);
      refused[static_cast<size_t>(i)] = registry->AddCounter(
          "narthex_append_refused_samples_total", "Samples that storage refused, by reason.",
          {{"endpoint", endpoint}, {"reason", std::string(storage::RefusalName(reason))}});
    }
  }

  metrics::Gauge* connected;
  metrics::Counter* streams;
  metrics::Counter* batches;
  metrics::Counter* samples;
  metrics::Counter* bytes;
  metrics::Counter* definitions;
  metrics::Counter* rewinds;
  metrics::Counter* quarantined;
  metrics::Counter* unwanted;
  std::array<metrics::Counter*, storage::kRefusalCount> refused = {};
};

}  // namespace

// The two threads and what they share.
class AppendClient::Stream {
 public:
  Stream(AppendClientOptions options, storage::BatchSource* source, Logger logger,
         metrics::Registry* registry)
      : options_(std::move(options)),
        source_(source),
        logger_(logger.With({{"endpoint", options_.endpoint}})),
        metrics_(registry, options_.endpoint) {}

  ~Stream() { Stop(); }

  void Start() {
    writer_thread_ = Thread("append-write", [this] { Run(); });
  }

  void Stop() {
    stop_.Set();
    {
      MutexLock lock(&mu_);
      if (context_ != nullptr) context_->TryCancel();
      changed_.SignalAll();
    }
    source_->Wake();
    writer_thread_.Join();
  }

 private:
  struct InFlight {
    uint64_t sequence;
    size_t bytes;
  };

  void Run();
  // One stream from hello to its end. *welcomed says whether storage has answered.
  absl::Status RunStream(bool* welcomed);
  void AcceptWelcome(const v1::AppendWelcome& welcome);
  void WriteLoop(ClientStream* stream);
  bool WaitForRoom();
  // Waits until storage has accepted everything sent; false at the end of the stream and for a
  // rewind.
  bool WaitUntilAnswered();
  bool TakeRewind();
  // Encodes for this endpoint and adds the frames to message_, sending what is full. False: the
  // stream is broken.
  bool Send(ClientStream* stream, const storage::BatchSource::Item& item);
  // False when the batch has series that storage was told of and has not answered for; with
  // `define_again` it is told again.
  bool Encode(const storage::NumberedBatch& batch, bool define_again, std::string* columns);
  bool Flush(ClientStream* stream);
  void ReadLoop(ClientStream* stream);
  void TakeAcknowledgement(const v1::AppendAcknowledgement& acknowledgement);
  void CountRefusals(const v1::AppendAcknowledgement& acknowledgement);
  bool ended() const {
    MutexLock lock(&mu_);
    return broken_ || stop_.stopped();
  }

  // Constant after construction.
  const AppendClientOptions options_;
  storage::BatchSource* const source_;
  const Logger logger_;
  const Metrics metrics_;

  // Synchronises itself.
  StopSignal stop_;

  mutable Mutex mu_;
  CondVar changed_;  // Room in flight, a rewind, or the end.
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  storage::ReferenceColumn column_ ABSL_GUARDED_BY(mu_);
  std::string reference_space_ ABSL_GUARDED_BY(mu_);
  std::deque<InFlight> in_flight_ ABSL_GUARDED_BY(mu_);
  size_t in_flight_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t rewind_ ABSL_GUARDED_BY(mu_) = 0;  // Not 0: send again from this sequence on.
  bool broken_ ABSL_GUARDED_BY(mu_) = false;

  // Only touched by the writing thread.
  uint64_t position_ = 0;  // The last sequence put into a message.
  uint64_t resend_ = 0;    // Not 0: the refused batch, which must come next.
  storage::AppendBatchWriter encoder_;
  std::vector<storage::SeriesNumber> defined_;  // By the batch that is encoded.
  v1::AppendRequest message_;
  size_t message_bytes_ = 0;
  absl::Duration message_since_;

  // Only touched by the reading thread, or between streams.
  std::array<uint64_t, storage::kRefusalCount> refused_since_log_ = {};
  absl::Duration next_refusal_log_;

  Thread writer_thread_;
};

void AppendClient::Stream::Run() {
  std::minstd_rand random(std::random_device{}());
  absl::Duration backoff = options_.backoff_min;
  std::string last_error;
  while (!stop_.stopped()) {
    bool welcomed = false;
    const absl::Status status = RunStream(&welcomed);
    if (stop_.stopped()) return;
    if (welcomed) backoff = options_.backoff_min;
    // Once for each new cause, not for each attempt.
    if (welcomed || last_error != Message(status)) {
      logger_.Warn(welcomed ? "append stream ended" : "cannot open the append stream",
                   {{"err", status}});
      last_error = std::string(Message(status));
    }
    const double share = std::uniform_real_distribution<double>(0.75, 1.25)(random);
    if (stop_.WaitFor(backoff * share)) return;
    backoff = std::min(backoff * 2, options_.backoff_max);
  }
}

absl::Status AppendClient::Stream::RunStream(bool* welcomed) {
  grpc::ClientContext context;
  {
    MutexLock lock(&mu_);
    context_ = &context;
    broken_ = false;
  }
  // Set after context_, so that a Stop() in between cannot miss both.
  if (stop_.stopped()) context.TryCancel();
  // A new channel each time: a used one makes pauses of its own between its attempts to connect.
  const std::unique_ptr<v1::Storage::Stub> stub =
      v1::Storage::NewStub(MakeChannel(options_.endpoint));
  const std::unique_ptr<ClientStream> stream = stub->Append(&context);

  v1::AppendRequest hello;
  hello.mutable_hello()->set_sender_id(source_->sender_id());
  hello.mutable_hello()->set_description(options_.description);
  v1::AppendResponse answer;
  if (stream->Write(hello) && stream->Read(&answer)) {
    if (answer.has_welcome()) {
      *welcomed = true;
      AcceptWelcome(answer.welcome());
      {
        Thread reader("append-read", [this, &stream] { ReadLoop(stream.get()); });
        // It ends when the stream is broken, and so does the reader.
        WriteLoop(stream.get());
      }
      metrics_.connected->Set(0);
      source_->Disconnected();
    } else {
      context.TryCancel();
    }
  }
  absl::Status status = FromGrpc(stream->Finish());
  {
    MutexLock lock(&mu_);
    context_ = nullptr;
  }
  if (status.ok()) status = Unavailable("storage closed the append stream");
  return status;
}

void AppendClient::Stream::AcceptWelcome(const v1::AppendWelcome& welcome) {
  bool new_space = false;
  {
    MutexLock lock(&mu_);
    if (reference_space_ != welcome.reference_space()) {
      new_space = !reference_space_.empty();
      column_.Clear();
      reference_space_ = welcome.reference_space();
    } else {
      column_.ForgetAbove(welcome.reference_max());
    }
    in_flight_.clear();
    in_flight_bytes_ = 0;
    rewind_ = 0;
  }
  position_ = welcome.accepted_sequence();
  resend_ = 0;
  message_.Clear();
  message_bytes_ = 0;
  metrics_.connected->Set(1);
  metrics_.streams->Increment();
  logger_.Info("append stream open", {{"accepted", welcome.accepted_sequence()},
                                      {"durable", welcome.durable_sequence()},
                                      {"new_reference_space", new_space}});
  source_->Connected(welcome.accepted_sequence(), welcome.durable_sequence());
}

void AppendClient::Stream::WriteLoop(ClientStream* stream) {
  while (!ended()) {
    absl::Duration wait = kIdleWait;
    if (message_bytes_ > 0) {
      wait = message_since_ + options_.linger - RealClock()->Monotonic();
      if (wait <= absl::ZeroDuration()) {
        if (!Flush(stream)) return;
        continue;
      }
    }
    const storage::BatchSource::Item item = source_->Next(position_, wait);
    if (TakeRewind()) continue;
    if (item.sequence == 0) continue;
    if (resend_ != 0) {
      // Storage waits for the batch that it refused. When the source has dropped it, an empty one
      // stands in.
      const uint64_t refused = std::exchange(resend_, 0);
      if (item.sequence > refused && !Send(stream, {refused, NoSamples()})) return;
      if (item.sequence > refused) continue;
    }
    if (!Send(stream, item)) return;
  }
}

// True when the stream goes back: what was read and what waits in the message is void.
bool AppendClient::Stream::TakeRewind() {
  MutexLock lock(&mu_);
  if (rewind_ == 0) return false;
  position_ = std::min(position_, rewind_ - 1);
  resend_ = rewind_;
  while (!in_flight_.empty() && in_flight_.back().sequence >= rewind_) {
    in_flight_bytes_ -= in_flight_.back().bytes;
    in_flight_.pop_back();
  }
  rewind_ = 0;
  column_.ForgetPending();
  message_.Clear();
  message_bytes_ = 0;
  return true;
}

bool AppendClient::Stream::WaitForRoom() {
  MutexLock lock(&mu_);
  while (in_flight_bytes_ >= options_.in_flight_bytes_max && !broken_ && rewind_ == 0 &&
         !stop_.stopped()) {
    changed_.WaitWithTimeout(&mu_, kIdleWait);
  }
  return !broken_ && !stop_.stopped();
}

bool AppendClient::Stream::Send(ClientStream* stream, const storage::BatchSource::Item& item) {
  std::string columns;
  if (!Encode(*item.batch, /*define_again=*/false, &columns)) {
    // Storage is about to answer with references: they are shorter than the labels once more.
    if (message_bytes_ > 0 && !Flush(stream)) return false;
    if (!WaitUntilAnswered()) return !ended();
    Encode(*item.batch, /*define_again=*/true, &columns);
  }
  position_ = item.sequence;
  metrics_.batches->Increment();
  metrics_.samples->Increment(static_cast<double>(item.batch->size()));
  metrics_.bytes->Increment(static_cast<double>(columns.size()));
  bool full;
  {
    MutexLock lock(&mu_);
    in_flight_.push_back({item.sequence, columns.size()});
    in_flight_bytes_ += columns.size();
    full = in_flight_bytes_ >= options_.in_flight_bytes_max;
  }
  if (message_bytes_ == 0) message_since_ = RealClock()->Monotonic();
  // Pieces of a split batch travel in messages of their own size.
  size_t offset = 0;
  while (columns.size() - offset > options_.frame_bytes_max) {
    v1::AppendFrame* const piece = message_.mutable_batches()->add_frames();
    piece->set_sequence(item.sequence);
    piece->set_columns(columns.data() + offset, options_.frame_bytes_max);
    offset += options_.frame_bytes_max;
    if (!Flush(stream)) return false;
  }
  v1::AppendFrame* const frame = message_.mutable_batches()->add_frames();
  frame->set_sequence(item.sequence);
  frame->set_commit(true);
  message_bytes_ += columns.size() - offset;
  if (offset == 0) {
    frame->set_columns(std::move(columns));
  } else {
    frame->set_columns(columns.data() + offset, columns.size() - offset);
  }
  if (message_bytes_ >= options_.message_bytes || full) {
    if (!Flush(stream)) return false;
  }
  return !full || WaitForRoom();
}

bool AppendClient::Stream::WaitUntilAnswered() {
  MutexLock lock(&mu_);
  while (!in_flight_.empty() && !broken_ && rewind_ == 0 && !stop_.stopped()) {
    changed_.WaitWithTimeout(&mu_, kIdleWait);
  }
  return !broken_ && rewind_ == 0 && !stop_.stopped();
}

bool AppendClient::Stream::Encode(const storage::NumberedBatch& batch, bool define_again,
                                  std::string* columns) {
  encoder_.Clear(batch.base_timestamp);
  defined_.clear();
  size_t unwanted = 0;
  const size_t count = batch.size();
  storage::EntryWriter entries(&batch);
  MutexLock lock(&mu_);
  for (size_t i = 0; i < count; ++i) {
    const storage::SeriesNumber number = batch.numbers[i];
    const storage::SeriesRef reference = column_.Find(number);
    if (storage::ReferenceColumn::IsReference(reference)) [[likely]] {
      encoder_.Add(reference, batch.timestamp(i), batch.values[i]);
      entries.Write(i, &encoder_);
    } else if (reference == storage::ReferenceColumn::kRefused) {
      ++unwanted;
    } else if (reference == storage::ReferenceColumn::kPending && !define_again) {
      return false;
    } else {
      defined_.push_back(number);
      encoder_.AddWithDefinition(number, source_->SeriesLabels(number), batch.timestamp(i),
                                 batch.values[i]);
      entries.Write(i, &encoder_);
    }
  }
  if (!defined_.empty()) {
    for (const storage::SeriesNumber number : defined_) {
      column_.Set(number, storage::ReferenceColumn::kPending);
    }
    metrics_.definitions->Increment(static_cast<double>(defined_.size()));
  }
  if (unwanted > 0) metrics_.unwanted->Increment(static_cast<double>(unwanted));
  *columns = encoder_.Finish();
  return true;
}

bool AppendClient::Stream::Flush(ClientStream* stream) {
  const bool ok = stream->Write(message_);
  message_.Clear();
  message_bytes_ = 0;
  return ok;
}

void AppendClient::Stream::ReadLoop(ClientStream* stream) {
  v1::AppendResponse response;
  while (stream->Read(&response)) {
    if (response.has_acknowledgement()) TakeAcknowledgement(response.acknowledgement());
  }
  {
    MutexLock lock(&mu_);
    broken_ = true;
    changed_.SignalAll();
  }
  source_->Wake();
}

void AppendClient::Stream::TakeAcknowledgement(const v1::AppendAcknowledgement& acknowledgement) {
  {
    MutexLock lock(&mu_);
    for (const v1::NewReference& added : acknowledgement.new_references()) {
      column_.Set(added.number(),
                  added.reference() == 0 ? storage::ReferenceColumn::kRefused : added.reference());
    }
    while (!in_flight_.empty() &&
           in_flight_.front().sequence <= acknowledgement.accepted_sequence()) {
      in_flight_bytes_ -= in_flight_.front().bytes;
      in_flight_.pop_front();
    }
    if (acknowledgement.refused_sequence() != 0) {
      if (acknowledgement.unknown_references().empty()) {
        column_.Clear();
      } else {
        column_.Forget({acknowledgement.unknown_references().data(),
                        static_cast<size_t>(acknowledgement.unknown_references_size())});
      }
      rewind_ = rewind_ == 0 ? acknowledgement.refused_sequence()
                             : std::min(rewind_, acknowledgement.refused_sequence());
    }
    changed_.SignalAll();
  }
  source_->Acknowledged(acknowledgement.accepted_sequence(), acknowledgement.durable_sequence());
  if (acknowledgement.refused_sequence() != 0) {
    metrics_.rewinds->Increment();
    logger_.Info("storage does not know a reference; sending again with labels",
                 {{"sequence", acknowledgement.refused_sequence()},
                  {"references", acknowledgement.unknown_references_size()}});
    source_->Wake();
  }
  for (const uint64_t sequence : acknowledgement.quarantined_sequences()) {
    metrics_.quarantined->Increment();
    logger_.Error("storage could not decode a batch and passed over it", {{"sequence", sequence}});
  }
  CountRefusals(acknowledgement);
}

void AppendClient::Stream::CountRefusals(const v1::AppendAcknowledgement& acknowledgement) {
  for (const v1::Refusals& refusals : acknowledgement.refusals()) {
    if (refusals.reason() == 0 || refusals.reason() >= storage::kRefusalCount) continue;
    metrics_.refused[refusals.reason()]->Increment(static_cast<double>(refusals.samples()));
    refused_since_log_[refusals.reason()] += refusals.samples();
    if (options_.on_refused) {
      options_.on_refused(static_cast<storage::Refusal>(refusals.reason()), refusals.samples());
    }
  }
  if (acknowledgement.refusals().empty()) return;
  const absl::Duration now = RealClock()->Monotonic();
  if (now < next_refusal_log_) return;
  next_refusal_log_ = now + kRefusalLogInterval;
  for (size_t i = 1; i < refused_since_log_.size(); ++i) {
    if (refused_since_log_[i] == 0) continue;
    logger_.Warn("storage refused samples",
                 {{"reason", storage::RefusalName(static_cast<storage::Refusal>(i))},
                  {"samples", refused_since_log_[i]}});
    refused_since_log_[i] = 0;
  }
}

AppendClient::AppendClient(AppendClientOptions options, storage::BatchSource* source, Logger logger,
                           metrics::Registry* registry)
    : stream_(std::make_unique<Stream>(std::move(options), source, std::move(logger), registry)) {}

AppendClient::~AppendClient() = default;

void AppendClient::Start() { stream_->Start(); }
void AppendClient::Stop() { stream_->Stop(); }

}  // namespace narthex::rpc
