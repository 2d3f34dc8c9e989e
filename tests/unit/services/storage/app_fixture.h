#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_APP_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_APP_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/remote_storage.h"
#include "lib/storage/append_batch.h"
#include "narthex/v1/storage.grpc.pb.h"
#include "services/storage/app.h"
#include "tests/support/temp_dir.h"

namespace narthex::storage_service {

// Waits up to ten seconds.
template <typename Condition>
bool Eventually(Condition condition) {
  StopSignal never;
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    never.WaitFor(absl::Milliseconds(5));
  }
  return condition();
}

// A storage service in the test's process, on ports of its own.
class AppFixture {
 public:
  AppFixture() { options.path = dir.File("data"); }

  absl::Status TryStart() {
    app.reset();
    registry = std::make_unique<metrics::Registry>();
    options.web_listen_address = "127.0.0.1:0";
    options.grpc_listen_address = "127.0.0.1:0";
    service::Env env;
    env.clock = RealClock();
    env.file_system = io::PosixFileSystem();
    env.logger = Logger::ToLines(&log_lines);
    env.registry = registry.get();
    auto created = App::Create(options, std::move(env));
    if (!created.ok()) return created.status();
    app = std::move(created).value();
    return app->Start();
  }
  void Start() {
    const absl::Status status = TryStart();
    INFO(status.ToString());
    REQUIRE(status.ok());
    REQUIRE(Eventually([this] { return app->ready(); }));
  }
  std::string endpoint() const { return StrCat("127.0.0.1:", app->grpc_port()); }
  std::unique_ptr<rpc::RemoteQuerier> Querier() const {
    rpc::RemoteQuerierOptions querier;
    querier.endpoint = endpoint();
    return std::make_unique<rpc::RemoteQuerier>(querier);
  }
  double Metric(std::string_view name) const {
    double sum = 0;
    for (const metrics::CollectedFamily& family : registry->Collect()) {
      if (family.name != name) continue;
      for (const metrics::CollectedSample& sample : family.samples) sum += sample.value;
    }
    return sum;
  }

  using SeriesMap = std::map<Labels, std::vector<std::pair<Timestamp, double>>>;
  SeriesMap Select(std::vector<Matcher> matchers, Timestamp min_time = 0,
                   Timestamp max_time = kMaxTimestamp / 2) const {
    storage::Selector selector;
    selector.matchers = std::move(matchers);
    selector.hints.start = min_time;
    selector.hints.end = max_time;
    return SelectWith(selector, {});
  }
  SeriesMap SelectWith(const storage::Selector& selector,
                       const storage::SelectOptions& select_options,
                       std::vector<Labels>* order = nullptr) const {
    const auto querier = Querier();
    auto result = querier->Select(std::span(&selector, 1), select_options);
    INFO(result.status().ToString());
    REQUIRE(result.ok());
    SeriesMap series;
    SampleBuffer samples;
    storage::SeriesSet& set = *result->sets[0];
    while (set.Next()) {
      if (order != nullptr) order->push_back(set.labels());
      samples.Clear();
      REQUIRE(set.ReadSamples(&samples).ok());
      auto& out = series[set.labels()];
      for (size_t i = 0; i < samples.size(); ++i) {
        out.emplace_back(samples.timestamps()[i], samples.values()[i]);
      }
    }
    INFO(set.status().ToString());
    REQUIRE(set.status().ok());
    return series;
  }

  TempDir dir;
  Options options;
  std::vector<std::string> log_lines;
  std::unique_ptr<metrics::Registry> registry;
  std::unique_ptr<App> app;
};

// One Append stream, driven step by step.
class RawAppender {
 public:
  RawAppender(const std::string& endpoint, const std::string& sender_id)
      : stub_(v1::Storage::NewStub(rpc::MakeChannel(endpoint))) {
    context_.set_wait_for_ready(true);
    stream_ = stub_->Append(&context_);
    v1::AppendRequest hello;
    hello.mutable_hello()->set_sender_id(sender_id);
    hello.mutable_hello()->set_description("test");
    stream_->Write(hello);
    v1::AppendResponse response;
    if (stream_->Read(&response)) welcome = response.welcome();
  }
  ~RawAppender() {
    if (stream_ != nullptr) Break();
  }

  bool Send(uint64_t sequence, std::string columns, bool commit = true) {
    v1::AppendRequest request;
    v1::AppendFrame* const frame = request.mutable_batches()->add_frames();
    frame->set_sequence(sequence);
    frame->set_columns(std::move(columns));
    frame->set_commit(commit);
    return stream_->Write(request);
  }
  // Reads until `sequence` is accepted (durable); collects what comes on the way.
  bool WaitAccepted(uint64_t sequence) {
    return WaitFor([&] { return accepted >= sequence; });
  }
  bool WaitDurable(uint64_t sequence) {
    return WaitFor([&] { return durable >= sequence; });
  }
  bool WaitRefused() {
    return WaitFor([&] { return refused_sequence != 0; });
  }
  void Break() {
    context_.TryCancel();
    stream_->Finish();
    stream_.reset();
  }
  grpc::Status Finish() {
    stream_->WritesDone();
    v1::AppendResponse response;
    while (stream_->Read(&response)) Take(response.acknowledgement());
    const grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }

  v1::AppendWelcome welcome;
  uint64_t accepted = 0;
  uint64_t durable = 0;
  std::map<uint64_t, uint64_t> references;  // By number.
  std::map<uint32_t, uint64_t> refused_samples;
  uint64_t refused_sequence = 0;
  std::vector<uint64_t> unknown_references;
  std::vector<uint64_t> quarantined;

 private:
  template <typename Condition>
  bool WaitFor(Condition condition) {
    v1::AppendResponse response;
    while (!condition()) {
      if (!stream_->Read(&response)) return false;
      Take(response.acknowledgement());
    }
    return true;
  }
  void Take(const v1::AppendAcknowledgement& news) {
    accepted = std::max(accepted, news.accepted_sequence());
    durable = std::max(durable, news.durable_sequence());
    for (const auto& reference : news.new_references()) {
      references[reference.number()] = reference.reference();
    }
    for (const auto& refusal : news.refusals()) {
      refused_samples[refusal.reason()] += refusal.samples();
    }
    if (news.refused_sequence() != 0) {
      refused_sequence = news.refused_sequence();
      unknown_references.assign(news.unknown_references().begin(), news.unknown_references().end());
    }
    quarantined.insert(quarantined.end(), news.quarantined_sequences().begin(),
                       news.quarantined_sequences().end());
  }

  std::unique_ptr<v1::Storage::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AppendRequest, v1::AppendResponse>> stream_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_APP_FIXTURE_H_
