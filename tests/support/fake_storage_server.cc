#include "tests/support/fake_storage_server.h"

#include <grpcpp/grpcpp.h>

#include <map>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/chunkenc/xor_chunk.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/server.h"
#include "lib/rpc/status.h"
#include "lib/storage/select_frame.h"
#include "narthex/v1/storage.grpc.pb.h"

namespace narthex::testing {
namespace {

std::string EncodeXor(const SampleBuffer& samples, size_t begin, size_t end) {
  std::string bytes((end - begin + 1) * chunkenc::kXorSampleBytesMax, '\0');
  chunkenc::XorState state;
  size_t size = 0;
  for (size_t i = begin; i < end; ++i) {
    chunkenc::XorAppend(&state, reinterpret_cast<uint8_t*>(bytes.data()), &size,
                        samples.timestamps()[i], samples.values()[i]);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

struct FakeStorageServer::Rep : v1::Storage::Service {
  grpc::Status Check() {
    MutexLock lock(&mu);
    return rpc::ToGrpc(failure);
  }

  uint64_t IdOf(const narthex::Labels& labels) {
    MutexLock lock(&mu);
    const auto [it, added] = ids.try_emplace(labels, ids.size() + 1);
    if (added) labels_by_id[it->second] = labels;
    return it->second;
  }

  using Stream = grpc::ServerReaderWriter<v1::ReadResponse, v1::ReadRequest>;

  grpc::Status Read(grpc::ServerContext* context, Stream* stream) override {
    ++streams;
    v1::ReadRequest request;
    while (stream->Read(&request)) {
      v1::ReadResponse last;
      const grpc::Status status = Answer(context, request, stream, &last);
      if (break_streams) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the node stops");
      last.mutable_end()->set_code(static_cast<uint32_t>(status.error_code()));
      last.mutable_end()->set_message(status.error_message());
      if (!stream->Write(last)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status Answer(grpc::ServerContext* context, const v1::ReadRequest& request, Stream* stream,
                      v1::ReadResponse* last) {
    if (request.has_select()) ++selects;
    if (request.has_labels()) ++label_calls;
    if (grpc::Status status = Check(); !status.ok()) return status;
    if (!request.has_labels()) Wait(context);
    if (request.has_select()) return Select(context, request.select(), stream);
    if (request.has_labels()) return Labels(request.labels(), stream, last);
    if (request.has_changes()) {
      FillHeader(memory.Changes(request.changes().known_revision()).value(), last);
      return grpc::Status::OK;
    }
    const auto strings = request.has_label_names()
                             ? memory.LabelNames(Sets(request.label_names().matcher_sets()),
                                                 request.label_names().min_time_ms(),
                                                 request.label_names().max_time_ms())
                             : memory.LabelValues(request.label_values().name(),
                                                  Sets(request.label_values().matcher_sets()),
                                                  request.label_values().min_time_ms(),
                                                  request.label_values().max_time_ms());
    for (const std::string& text : *strings) last->add_strings(text);
    return grpc::Status::OK;
  }

  // The delay, unless the caller goes away meanwhile.
  void Wait(grpc::ServerContext* context) {
    absl::Duration wait;
    {
      MutexLock lock(&mu);
      wait = delay;
    }
    StopSignal never;
    for (absl::Duration waited; waited < wait; waited += absl::Milliseconds(5)) {
      if (context->IsCancelled()) break;
      never.WaitFor(absl::Milliseconds(5));
    }
    if (context->IsCancelled()) was_cancelled = true;
  }

  void FillHeader(const storage::DataChanges& changes, v1::ReadResponse* response) {
    v1::ReadHeader* const header = response->mutable_header();
    header->mutable_changes()->set_revision(changes.revision);
    header->mutable_changes()->set_oldest_change_ms(changes.oldest_change);
    MutexLock lock(&mu);
    header->set_reference_space(space);
    rpc::ToProto(external_labels, header->mutable_external_labels());
  }

  grpc::Status Select(grpc::ServerContext* context, const v1::SelectRequest& request,
                      Stream* stream) {
    std::vector<storage::Selector> selectors;
    for (const v1::SelectSelector& proto : request.selectors()) {
      storage::Selector selector;
      selector.matchers = rpc::FromProto(proto.matchers()).value();
      selector.hints.start = proto.min_time_ms();
      selector.hints.end = proto.max_time_ms();
      selector.hints.newest_only = proto.newest_only();
      selector.hints.labels_only = proto.labels_only();
      selector.hints.limit = proto.limit();
      selectors.push_back(std::move(selector));
    }
    storage::SelectOptions options;
    options.series_max = request.series_max();
    options.samples_max = request.samples_max();
    options.bytes_max = 0;
    options.known_revision = request.known_revision();
    absl::StatusOr<storage::SelectResult> result = memory.Select(selectors, options);
    if (!result.ok()) return rpc::ToGrpc(result.status());
    v1::ReadResponse response;
    FillHeader(result->changes, &response);
    int frames = 0;
    for (size_t i = 0; i < result->sets.size(); ++i) {
      storage::SelectFrameWriter frame;
      const auto flush = [&]() -> grpc::Status {
        if (frame.series() == 0) return grpc::Status::OK;
        {
          MutexLock lock(&mu);
          if (frames_before_failure == frames) return rpc::ToGrpc(late_failure);
        }
        if (frames > 0) Wait(context);
        if (context->IsCancelled()) return grpc::Status::CANCELLED;
        v1::SelectFrame* const proto = response.add_frames();
        proto->set_selector(static_cast<uint32_t>(i));
        proto->set_series(frame.Take());
        ++frames;
        if (!stream->Write(response)) was_cancelled = true;
        response.Clear();
        return grpc::Status::OK;
      };
      storage::SeriesSet& set = *result->sets[i];
      SampleBuffer samples;
      while (set.Next()) {
        samples.Clear();
        NARTHEX_CHECK_OK(set.ReadSamples(&samples));
        frame.AddSeries(IdOf(set.labels()));
        WriteSeries(selectors[i].hints, samples, &frame);
        if (frame.size_bytes() < frame_bytes) continue;
        if (grpc::Status status = flush(); !status.ok()) return status;
      }
      if (!set.status().ok()) return rpc::ToGrpc(set.status());
      if (grpc::Status status = flush(); !status.ok()) return status;
    }
    if (response.has_header()) stream->Write(response);
    return grpc::Status::OK;
  }

  // Instant selectors get packed samples; others two chunks that overlap by a sample, the second
  // with samples that are not to be seen.
  static void WriteSeries(const storage::SelectHints& hints, const SampleBuffer& samples,
                          storage::SelectFrameWriter* frame) {
    if (hints.labels_only) return frame->LabelsOnly();
    if (hints.newest_only || samples.empty()) {
      return frame->Samples(samples.timestamps(), samples.values());
    }
    SampleBuffer more;
    for (size_t i = 0; i < samples.size(); ++i) {
      more.Append(samples.timestamps()[i], samples.values()[i]);
    }
    const size_t half = samples.size() / 2;
    more.Append(samples.timestamps().back() + 1, -1);
    more.Append(samples.timestamps().back() + 2, -2);
    std::vector<std::string> bytes;
    std::vector<storage::SelectChunk> chunks;
    bytes.push_back(EncodeXor(more, 0, half + 1));
    bytes.push_back(EncodeXor(more, half, more.size()));
    chunks.push_back({.min_time = samples.timestamps()[0],
                      .max_time = samples.timestamps()[half],
                      .visible_samples = static_cast<uint32_t>(half + 1),
                      .bytes = bytes[0]});
    chunks.push_back({.min_time = samples.timestamps()[half],
                      .max_time = samples.timestamps().back(),
                      .visible_samples = static_cast<uint32_t>(samples.size() - half),
                      .bytes = bytes[1]});
    frame->Chunks(chunks, {});
  }

  grpc::Status Labels(const v1::LabelsRequest& request, Stream* stream, v1::ReadResponse* last) {
    MutexLock lock(&mu);
    if (request.reference_space() != space) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "another reference space"};
    }
    uint64_t id = 0;
    for (const int64_t delta : request.id_deltas()) {
      id += static_cast<uint64_t>(delta);
      ++labels_asked;
      const narthex::Labels& labels = labels_by_id[id];
      std::string* out = last->mutable_labels();
      AppendUvarint(out, labels.size());
      for (const LabelView label : labels) {
        AppendLengthPrefixed(out, label.name);
        AppendLengthPrefixed(out, label.value);
      }
      if (out->size() > frame_bytes) {
        stream->Write(*last);
        last->Clear();
      }
    }
    return grpc::Status::OK;
  }

  static std::vector<std::vector<Matcher>> Sets(
      const google::protobuf::RepeatedPtrField<v1::MatcherSet>& proto) {
    std::vector<std::vector<Matcher>> sets;
    for (const v1::MatcherSet& set : proto) {
      sets.push_back(rpc::FromProto(set.matchers()).value());
    }
    return sets;
  }

  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                      v1::ReloadResponse*) override {
    ++reloads;
    MutexLock lock(&mu);
    return rpc::ToGrpc(reload_result);
  }

  MemoryStorage memory;
  size_t frame_bytes = 0;
  std::unique_ptr<rpc::Server> server;

  std::atomic<int> streams{0};
  std::atomic<bool> break_streams{false};
  std::atomic<int> selects{0};
  std::atomic<int> label_calls{0};
  std::atomic<int> labels_asked{0};
  std::atomic<int> reloads{0};
  std::atomic<bool> was_cancelled{false};

  Mutex mu;
  std::string space ABSL_GUARDED_BY(mu) = "space-1";
  std::map<narthex::Labels, uint64_t> ids ABSL_GUARDED_BY(mu);
  std::map<uint64_t, narthex::Labels> labels_by_id ABSL_GUARDED_BY(mu);
  absl::Status failure ABSL_GUARDED_BY(mu);
  absl::Status late_failure ABSL_GUARDED_BY(mu);
  int frames_before_failure ABSL_GUARDED_BY(mu) = -1;
  absl::Duration delay ABSL_GUARDED_BY(mu);
  absl::Status reload_result ABSL_GUARDED_BY(mu);
  narthex::Labels external_labels ABSL_GUARDED_BY(mu);
};

FakeStorageServer::FakeStorageServer(size_t frame_bytes, int port) : rep_(new Rep) {
  rep_->frame_bytes = frame_bytes;
  rpc::ServerOptions options;
  options.listen_address = StrCat("127.0.0.1:", port);
  absl::StatusOr<std::unique_ptr<rpc::Server>> server = rpc::Server::Create(options, {rep_.get()});
  NARTHEX_CHECK_OK(server.status());
  rep_->server = *std::move(server);
}

FakeStorageServer::~FakeStorageServer() { Stop(); }

MemoryStorage& FakeStorageServer::memory() { return rep_->memory; }
int FakeStorageServer::port() const { return rep_->server->port(); }
std::string FakeStorageServer::endpoint() const { return StrCat("127.0.0.1:", port()); }
void FakeStorageServer::Stop() { rep_->server->Stop(absl::Milliseconds(100)); }

void FakeStorageServer::Fail(absl::Status status) {
  MutexLock lock(&rep_->mu);
  rep_->failure = std::move(status);
}

void FakeStorageServer::FailAfter(int frames, absl::Status status) {
  MutexLock lock(&rep_->mu);
  rep_->frames_before_failure = frames;
  rep_->late_failure = std::move(status);
}

void FakeStorageServer::Delay(absl::Duration delay) {
  MutexLock lock(&rep_->mu);
  rep_->delay = delay;
}

void FakeStorageServer::NewReferenceSpace() {
  MutexLock lock(&rep_->mu);
  rep_->space += "'";
  rep_->ids.clear();
  rep_->labels_by_id.clear();
}

void FakeStorageServer::SetReloadResult(absl::Status status) {
  MutexLock lock(&rep_->mu);
  rep_->reload_result = std::move(status);
}

void FakeStorageServer::SetExternalLabels(Labels labels) {
  MutexLock lock(&rep_->mu);
  rep_->external_labels = std::move(labels);
}

void FakeStorageServer::BreakStreams(bool broken) { rep_->break_streams = broken; }

int FakeStorageServer::streams() const { return rep_->streams; }
int FakeStorageServer::selects() const { return rep_->selects; }
int FakeStorageServer::label_calls() const { return rep_->label_calls; }
int FakeStorageServer::labels_asked() const { return rep_->labels_asked; }
int FakeStorageServer::reloads() const { return rep_->reloads; }
bool FakeStorageServer::cancelled() const { return rep_->was_cancelled; }

}  // namespace narthex::testing
