#include "tests/support/fake_append_server.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/rpc/server.h"
#include "lib/storage/append_batch.h"
#include "narthex/v1/storage.grpc.pb.h"

namespace narthex::testing {
namespace {

using ServerStream = grpc::ServerReaderWriter<v1::AppendResponse, v1::AppendRequest>;
// The generated service has a method Labels.
using LabelSet = narthex::Labels;
constexpr absl::Duration kPatience = absl::Seconds(10);

}  // namespace

class FakeAppendServer::Service final : public v1::Storage::Service {
 public:
  struct Stream {
    grpc::ServerContext* context = nullptr;
    std::string sender_id;
    std::string pieces;
    uint64_t refused = 0;  // Not 0: drop everything until this sequence comes again.
    bool ended = false;
    // What the next acknowledgement says.
    uint64_t acknowledged = 0;
    uint64_t durable = 0;
    v1::AppendAcknowledgement next;
    bool pending = false;
  };

  grpc::Status Append(grpc::ServerContext* context, ServerStream* stream) override {
    {
      MutexLock lock(&mu_);
      if (replaying_) return {grpc::StatusCode::UNAVAILABLE, "replaying the log"};
    }
    v1::AppendRequest request;
    if (!stream->Read(&request) || !request.has_hello() ||
        request.hello().sender_id().size() != 16) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "the first message must be hello"};
    }
    Stream state;
    state.context = context;
    state.sender_id = request.hello().sender_id();
    v1::AppendResponse answer;
    {
      MutexLock lock(&mu_);
      streams_.insert(&state);
      const uint64_t accepted = accepted_[state.sender_id];
      state.acknowledged = state.durable = accepted;
      answer.mutable_welcome()->set_reference_space(StrCat("space ", space_));
      answer.mutable_welcome()->set_reference_max(labels_.size());
      answer.mutable_welcome()->set_accepted_sequence(accepted);
      answer.mutable_welcome()->set_durable_sequence(accepted);
    }
    if (stream->Write(answer)) {
      Thread acknowledger("fake-ack", [&] { Acknowledge(stream, &state); });
      while (stream->Read(&request)) {
        if (!TakeBatches(request.batches(), &state)) break;
      }
      MutexLock lock(&mu_);
      state.ended = true;
      changed_.SignalAll();
    }
    MutexLock lock(&mu_);
    streams_.erase(&state);
    changed_.SignalAll();
    return grpc::Status::OK;
  }

  bool TakeBatches(const v1::AppendBatches& batches, Stream* state) {
    MutexLock lock(&mu_);
    ++messages_;
    while (hold_apply_ && !state->context->IsCancelled()) {
      changed_.WaitWithTimeout(&mu_, absl::Milliseconds(20));
    }
    if (state->context->IsCancelled()) return false;
    for (const v1::AppendFrame& frame : batches.frames()) {
      state->pieces += frame.columns();
      if (!frame.commit()) continue;
      Apply(frame.sequence(), std::exchange(state->pieces, {}), state);
    }
    state->pending = true;
    changed_.SignalAll();
    return true;
  }

  void Apply(uint64_t sequence, const std::string& bytes, Stream* state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (state->refused != 0 && sequence != state->refused) return;
    state->refused = 0;
    uint64_t& accepted = accepted_[state->sender_id];
    if (sequence <= accepted) return;
    storage::AppendBatch batch;
    if (!storage::DecodeAppendBatch(bytes, &batch).ok()) {
      state->next.add_quarantined_sequences(sequence);
      accepted = sequence;
      return;
    }
    for (const storage::SeriesRef ref : batch.refs) {
      if (ref != 0 && (ref > labels_.size() || forgotten_.contains(ref))) {
        state->next.add_unknown_references(ref);
      }
    }
    if (!state->next.unknown_references().empty()) {
      state->refused = sequence;
      state->next.set_refused_sequence(sequence);
      return;
    }
    Store(batch, state);
    samples_received_ += batch.refs.size();
    if (!discard_) {
      batches_.push_back({state->sender_id, sequence, batch.base_timestamp, batch.refs.size(),
                          batch.definitions.size()});
    }
    accepted = sequence;
  }

  void Store(const storage::AppendBatch& batch, Stream* state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::map<storage::Refusal, uint64_t> refusals;
    size_t definition = 0;
    for (size_t i = 0; i < batch.refs.size(); ++i) {
      LabelSet labels;
      if (batch.refs[i] == 0) {
        const storage::AppendBatch::Definition& defined = batch.definitions[definition++];
        labels = LabelSet::FromSorted(defined.labels);
        v1::NewReference* const added = state->next.add_new_references();
        added->set_number(defined.number);
        if (refused_metrics_.contains(std::string(labels.metric_name()))) {
          added->set_reference(0);
          ++refusals[storage::Refusal::kSeriesLimit];
          continue;
        }
        added->set_reference(ReferenceOf(labels));
      } else {
        if (discard_) continue;
        labels = labels_[batch.refs[i] - 1];
      }
      if (discard_) continue;
      const storage::Refusal refusal =
          samples_->Append(labels, batch.timestamp(i), batch.values[i]);
      if (refusal != storage::Refusal::kNone) ++refusals[refusal];
    }
    for (const auto& [reason, samples] : refusals) {
      v1::Refusals* const refused = state->next.add_refusals();
      refused->set_reason(static_cast<uint32_t>(reason));
      refused->set_samples(samples);
    }
  }

  storage::SeriesRef ReferenceOf(const LabelSet& labels) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    storage::SeriesRef& ref = references_[labels];
    if (ref == 0 || forgotten_.contains(ref)) {
      labels_.push_back(labels);
      ref = labels_.size();
    }
    return ref;
  }

  void Acknowledge(ServerStream* stream, Stream* state) {
    mu_.Lock();
    while (!state->ended) {
      const uint64_t accepted = accepted_[state->sender_id];
      const uint64_t durable = hold_durable_ ? state->durable : accepted;
      if (!state->pending && durable == state->durable) {
        changed_.WaitWithTimeout(&mu_, absl::Seconds(1));
        continue;
      }
      state->pending = false;
      state->durable = durable;
      v1::AppendResponse answer;
      *answer.mutable_acknowledgement() = std::exchange(state->next, {});
      answer.mutable_acknowledgement()->set_accepted_sequence(accepted);
      answer.mutable_acknowledgement()->set_durable_sequence(durable);
      mu_.Unlock();
      const bool ok = stream->Write(answer);
      mu_.Lock();
      if (!ok) break;
    }
    mu_.Unlock();
  }

  bool Await(const std::function<bool()>& condition) {
    const absl::Duration deadline = RealClock()->Monotonic() + kPatience;
    MutexLock lock(&mu_);
    while (!condition()) {
      if (RealClock()->Monotonic() >= deadline) return false;
      changed_.WaitWithTimeout(&mu_, absl::Milliseconds(50));
    }
    return true;
  }

  mutable Mutex mu_;
  CondVar changed_;
  std::set<Stream*> streams_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<MemoryStorage> samples_ = std::make_unique<MemoryStorage>();
  int space_ ABSL_GUARDED_BY(mu_) = 1;
  std::vector<LabelSet> labels_ ABSL_GUARDED_BY(mu_);  // By reference - 1.
  std::map<LabelSet, storage::SeriesRef> references_ ABSL_GUARDED_BY(mu_);
  std::set<storage::SeriesRef> forgotten_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> refused_metrics_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> accepted_ ABSL_GUARDED_BY(mu_);
  std::vector<Batch> batches_ ABSL_GUARDED_BY(mu_);
  size_t messages_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t samples_received_ ABSL_GUARDED_BY(mu_) = 0;
  bool hold_durable_ ABSL_GUARDED_BY(mu_) = false;
  bool hold_apply_ ABSL_GUARDED_BY(mu_) = false;
  bool replaying_ ABSL_GUARDED_BY(mu_) = false;
  bool discard_ ABSL_GUARDED_BY(mu_) = false;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<rpc::Server> server_;
};

FakeAppendServer::FakeAppendServer() : service_(std::make_unique<Service>()) {}
FakeAppendServer::~FakeAppendServer() { Stop(); }

void FakeAppendServer::Start() {
  rpc::ServerOptions options;
  options.listen_address = service_->address_;
  auto server = rpc::Server::Create(options, {service_.get()});
  NARTHEX_CHECK_OK(server.status());
  service_->server_ = std::move(server).value();
  service_->server_->SetReady(true);
  service_->address_ = StrCat("127.0.0.1:", service_->server_->port());
}

void FakeAppendServer::Stop() {
  if (service_->server_ == nullptr) return;
  service_->server_->Stop(absl::ZeroDuration());
  service_->server_.reset();
}

std::string FakeAppendServer::endpoint() const { return service_->address_; }
MemoryStorage& FakeAppendServer::samples() { return *service_->samples_; }

std::vector<Sample> FakeAppendServer::SamplesOf(const Labels& series) {
  MutexLock lock(&service_->mu_);
  std::vector<Sample> out;
  for (const auto& [timestamp, value] : service_->samples_->SamplesOf(series)) {
    out.push_back({timestamp, value});
  }
  return out;
}

std::vector<FakeAppendServer::Batch> FakeAppendServer::batches() const {
  MutexLock lock(&service_->mu_);
  return service_->batches_;
}

size_t FakeAppendServer::messages() const {
  MutexLock lock(&service_->mu_);
  return service_->messages_;
}

uint64_t FakeAppendServer::accepted_sequence(const std::string& sender_id) const {
  MutexLock lock(&service_->mu_);
  return service_->accepted_[sender_id];
}

void FakeAppendServer::RenewReferenceSpace(bool lose_data) {
  MutexLock lock(&service_->mu_);
  ++service_->space_;
  service_->labels_.clear();
  service_->references_.clear();
  service_->forgotten_.clear();
  if (!lose_data) return;
  service_->accepted_.clear();
  service_->batches_.clear();
  service_->samples_ = std::make_unique<MemoryStorage>();
}

void FakeAppendServer::ForgetReferences() {
  MutexLock lock(&service_->mu_);
  for (storage::SeriesRef ref = 1; ref <= service_->labels_.size(); ++ref) {
    service_->forgotten_.insert(ref);
  }
}

void FakeAppendServer::LoseReferencesAbove(uint64_t reference_max) {
  MutexLock lock(&service_->mu_);
  for (storage::SeriesRef ref = reference_max + 1; ref <= service_->labels_.size(); ++ref) {
    service_->references_.erase(service_->labels_[ref - 1]);
  }
  service_->labels_.resize(std::min<size_t>(reference_max, service_->labels_.size()));
}

uint64_t FakeAppendServer::reference_max() const {
  MutexLock lock(&service_->mu_);
  return service_->labels_.size();
}

void FakeAppendServer::RefuseMetric(const std::string& metric_name) {
  MutexLock lock(&service_->mu_);
  service_->refused_metrics_.insert(metric_name);
}

void FakeAppendServer::HoldDurable(bool hold) {
  MutexLock lock(&service_->mu_);
  service_->hold_durable_ = hold;
  service_->changed_.SignalAll();
}

void FakeAppendServer::HoldApply(bool hold) {
  MutexLock lock(&service_->mu_);
  service_->hold_apply_ = hold;
  service_->changed_.SignalAll();
}

void FakeAppendServer::BreakStreams() {
  MutexLock lock(&service_->mu_);
  for (Service::Stream* const stream : service_->streams_) stream->context->TryCancel();
}

void FakeAppendServer::SetReplaying(bool replaying) {
  MutexLock lock(&service_->mu_);
  service_->replaying_ = replaying;
}

void FakeAppendServer::DiscardSamples() {
  MutexLock lock(&service_->mu_);
  service_->discard_ = true;
}

uint64_t FakeAppendServer::samples_received() const {
  MutexLock lock(&service_->mu_);
  return service_->samples_received_;
}

bool FakeAppendServer::WaitForSamples(size_t count) {
  return service_->Await(
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return service_->samples_received_ >= count; });
}

bool FakeAppendServer::WaitForBatches(size_t count) {
  return service_->Await(
      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return service_->batches_.size() >= count; });
}

}  // namespace narthex::testing
