#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "catch2/catch.hpp"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/storage/append_batch.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/querier.h"
#include "tests/conformance/query/script_suite.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"
#include "tests/unit/services/storage/app_fixture.h"

// Upstream's scripts over real storage: its head and blocks, and over gRPC.
namespace narthex::testing {
namespace {

// Samples of any age are accepted: scripts load in any order.
constexpr absl::Duration kAnyAge = absl::Hours(24 * 365 * 20);
// Later than all that scripts load.
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

void AddExtras(const SampleBuffer& samples, size_t index, storage::AppendBatchWriter* writer) {
  if (samples.kind(index) == SampleKind::kFloatHistogram) {
    writer->SetHistogram(samples.float_histogram(index));
  }
  const auto starts = samples.start_timestamps();
  if (!starts.empty()) writer->SetStartTimestamp(starts[index]);
}

// Writes what a script loads in two batches, the first of which makes series known by one sample
// each. `send(bytes)` applies a batch; `reference(number)` tells what a series got.
template <typename Send, typename Reference>
absl::Status SendAll(const std::vector<LoadedSeries>& loaded, Send send, Reference reference) {
  storage::AppendBatchWriter writer;
  writer.Clear(0);
  for (size_t i = 0; i < loaded.size(); ++i) {
    const SampleBuffer& samples = loaded[i].samples;
    if (samples.empty()) continue;
    writer.AddWithDefinition(i + 1, loaded[i].labels, samples.timestamps()[0], samples.values()[0]);
    AddExtras(samples, 0, &writer);
  }
  if (writer.size() == 0) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(send(writer.Finish()));
  writer.Clear(0);
  for (size_t i = 0; i < loaded.size(); ++i) {
    const SampleBuffer& samples = loaded[i].samples;
    for (size_t k = 1; k < samples.size(); ++k) {
      writer.Add(reference(i + 1), samples.timestamps()[k], samples.values()[k]);
      AddExtras(samples, k, &writer);
    }
  }
  return writer.size() == 0 ? absl::OkStatus() : send(writer.Finish());
}

// A database of which all but the newest minutes is in blocks.
class DbScriptStorage : public ScriptStorage {
 public:
  absl::Status Clear() override {
    querier_.reset();
    db_.reset();
    files_ = std::make_unique<FaultFileSystem>();
    tsdb::DbOptions options;
    options.path = "/data";
    options.block_range_min_ms = absl::ToInt64Milliseconds(absl::Minutes(10));
    options.settings.out_of_order_window = kAnyAge;
    options.head.chunks.start_timestamps = true;
    options.head.ooo.start_timestamps = true;
    NARTHEX_ASSIGN_OR_RETURN(
        db_, tsdb::Db::Open(options, files_.get(), &clock_, Logger::ToLines(&log_)));
    NARTHEX_RETURN_IF_ERROR(db_->Replay([] { return false; }));
    querier_ = std::make_unique<tsdb::DbQuerier>(db_.get(), &clock_);
    return absl::OkStatus();
  }

  absl::Status Load(const std::vector<LoadedSeries>& loaded) override {
    tsdb::HeadAppender appender(&db_->head());
    std::map<storage::SeriesNumber, storage::SeriesRef> references;
    const auto send = [&](const std::string& bytes) -> absl::Status {
      storage::AppendBatch batch;
      NARTHEX_RETURN_IF_ERROR(storage::DecodeAppendBatch(bytes, &batch));
      tsdb::AppendResult result;
      NARTHEX_RETURN_IF_ERROR(appender.Append(batch, nullptr, 0, &result));
      for (const auto& made : result.new_references) references[made.number] = made.reference;
      if (result.refused_samples.empty()) return absl::OkStatus();
      return Internal("the head refused ", result.refused_samples.size(),
                      " samples: ", storage::RefusalName(result.refused_samples[0].reason));
    };
    NARTHEX_RETURN_IF_ERROR(
        SendAll(loaded, send, [&](storage::SeriesNumber number) { return references[number]; }));
    NARTHEX_RETURN_IF_ERROR(db_->Compact());
    blocks_ += db_->blocks()->size();
    return absl::OkStatus();
  }

  storage::Querier* querier() override { return querier_.get(); }
  size_t blocks() const { return blocks_; }

 private:
  FakeClock clock_{kNow};
  std::vector<std::string> log_;
  std::unique_ptr<FaultFileSystem> files_;
  std::unique_ptr<tsdb::Db> db_;
  std::unique_ptr<tsdb::DbQuerier> querier_;
  size_t blocks_ = 0;
};

// A storage service in this process, written to and read from over gRPC.
class GrpcScriptStorage : public ScriptStorage {
 public:
  absl::Status Clear() override {
    querier_.reset();
    appender_.reset();
    fixture_ = std::make_unique<storage_service::AppFixture>();
    NARTHEX_RETURN_IF_ERROR(fixture_->dir.WriteFile(
        "prometheus.yml", "storage:\n  tsdb:\n    out_of_order_time_window: 20y\n"));
    fixture_->options.config_file = fixture_->dir.File("prometheus.yml");
    fixture_->options.head.chunks.start_timestamps = true;
    fixture_->Start();
    querier_ = fixture_->Querier();
    appender_ = std::make_unique<storage_service::RawAppender>(fixture_->endpoint(), "script");
    sequence_ = 0;
    return absl::OkStatus();
  }

  absl::Status Load(const std::vector<LoadedSeries>& loaded) override {
    const auto send = [this](const std::string& bytes) -> absl::Status {
      ++sequence_;
      if (!appender_->Send(sequence_, bytes) || !appender_->WaitAccepted(sequence_)) {
        return Internal("the append stream broke off");
      }
      if (appender_->refused_samples.empty()) return absl::OkStatus();
      return Internal("samples were refused for reason ",
                      appender_->refused_samples.begin()->first);
    };
    return SendAll(loaded, send,
                   [this](storage::SeriesNumber number) { return appender_->references[number]; });
  }

  storage::Querier* querier() override { return querier_.get(); }

 private:
  std::unique_ptr<storage_service::AppFixture> fixture_;
  std::unique_ptr<storage_service::RawAppender> appender_;
  std::unique_ptr<rpc::RemoteQuerier> querier_;
  uint64_t sequence_ = 0;
};

void CheckAll(ScriptStorage* storage) {
  const auto outcomes = RunScripts(/*delayed_name_removal=*/true, storage);
  INFO(outcomes.status().ToString());
  REQUIRE(outcomes.ok());
  int passed = 0;
  for (const NamedOutcome& named : *outcomes) {
    passed += named.outcome.passed;
    for (const std::string& failure : named.outcome.failures) FAIL_CHECK(failure);
  }
  CHECK(passed == kScriptEvaluations);
}

TEST_CASE("The scripts are answered as upstream does over the head and blocks") {
  DbScriptStorage storage;
  CheckAll(&storage);
  CHECK(storage.blocks() > 0);
}

TEST_CASE("The scripts are answered as upstream does over gRPC") {
  GrpcScriptStorage storage;
  CheckAll(&storage);
}

}  // namespace
}  // namespace narthex::testing
