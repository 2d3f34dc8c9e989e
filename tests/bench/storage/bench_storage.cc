// The storage service's hot paths:
//   head append                  decoded batches by reference into the head, with its log
//   append over gRPC             both ends of one stream in this process: pack, send, decode, log,
//   apply bytes per series             what the head counts, and what the process grew by select
//   10,000 series over gRPC, decoded by the client; and in the head alone replay the log of all
//   that, read back
// CPU is that of the whole process. Run it on a quiet machine from a release build.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/remote_storage.h"
#include "lib/storage/append_batch.h"
#include "narthex/v1/storage.grpc.pb.h"
#include "services/storage/app.h"
#include "tests/support/bench.h"
#include "tests/support/temp_dir.h"

namespace narthex::storage_service {
namespace {

constexpr int kSeries = 200'000;
constexpr int kBatchSize = 1000;  // One target's scrape.
constexpr int64_t kStepMs = 15'000;

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

Labels SeriesLabels(int i) {
  return Labels::FromPairs(
      {{"__name__", StrCat("http_requests_total_", i % kBatchSize / 10)},
       {"code", StrCat(200 + i % 10)},
       {"datacenter", "eu-west-1"},
       {"handler", StrCat("/api/v1/", i % 10)},
       {"instance", StrCat("10.0.", i / kBatchSize / 250, ".", i / kBatchSize % 250, ":9100")},
       {"job", "node"}});
}

// Counters, gauges with few digits, and constants, as a node exporter has them.
class Values {
 public:
  double Next(int series) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    const uint32_t random = static_cast<uint32_t>(state_ >> 33);
    switch (series % 5) {
      case 0:
      case 1:
        return values_[static_cast<size_t>(series)] += random % 100;
      case 2:
        return static_cast<double>(random % 10000) / 100;
      default:
        return 1;
    }
  }

 private:
  uint64_t state_ = 88172645463325252u;
  std::vector<double> values_ = std::vector<double>(kSeries);
};

struct Service {
  TempDir dir;
  metrics::Registry registry;
  std::unique_ptr<App> app;

  Service() { Start(); }
  void Start() {
    Options options;
    options.path = dir.File("data");
    options.web_listen_address = "127.0.0.1:0";
    options.grpc_listen_address = "127.0.0.1:0";
    service::Env env;
    env.clock = RealClock();
    env.file_system = io::PosixFileSystem();
    env.registry = &registry;
    auto created = App::Create(options, std::move(env));
    NARTHEX_CHECK_OK(created.status());
    app = std::move(created).value();
    NARTHEX_CHECK_OK(app->Start());
    StopSignal never;
    while (!app->ready()) never.WaitFor(absl::Milliseconds(1));
  }
  std::string endpoint() const { return StrCat("127.0.0.1:", app->grpc_port()); }
};

class Sender {
 public:
  Sender(const std::string& endpoint, int frames_per_message)
      : frames_per_message_(frames_per_message),
        stub_(v1::Storage::NewStub(rpc::MakeChannel(endpoint))) {
    context_.set_wait_for_ready(true);
    stream_ = stub_->Append(&context_);
    v1::AppendRequest hello;
    hello.mutable_hello()->set_sender_id(StrCat("bench ", frames_per_message));
    NARTHEX_CHECK(stream_->Write(hello));
    v1::AppendResponse welcome;
    NARTHEX_CHECK(stream_->Read(&welcome));
  }
  void Add(std::string columns) {
    v1::AppendFrame* const frame = request_.mutable_batches()->add_frames();
    frame->set_sequence(++sequence_);
    frame->set_columns(std::move(columns));
    frame->set_commit(true);
    if (request_.batches().frames_size() >= frames_per_message_) Flush();
  }
  void Flush() {
    if (request_.batches().frames_size() > 0) NARTHEX_CHECK(stream_->Write(request_));
    request_.Clear();
  }
  // Until everything is accepted; collects references.
  void Wait(std::vector<uint64_t>* references = nullptr) {
    Flush();
    v1::AppendResponse response;
    while (response.acknowledgement().accepted_sequence() < sequence_) {
      NARTHEX_CHECK(stream_->Read(&response));
      for (const auto& reference : response.acknowledgement().new_references()) {
        if (references != nullptr) (*references)[reference.number() - 1] = reference.reference();
      }
    }
  }
  void Finish() {
    stream_->WritesDone();
    v1::AppendResponse response;
    while (stream_->Read(&response)) {
    }
    NARTHEX_CHECK(stream_->Finish().ok());
  }

 private:
  const int frames_per_message_;
  std::unique_ptr<v1::Storage::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AppendRequest, v1::AppendResponse>> stream_;
  v1::AppendRequest request_;
  uint64_t sequence_ = 0;
};

void Print(const char* what, double samples, double cpu_seconds, double wall_seconds) {
  std::printf("%-48s %8.1f ns CPU a sample   %8.1f ns wall   (%.1f M samples/s)\n", what,
              cpu_seconds / samples * 1e9, wall_seconds / samples * 1e9,
              samples / wall_seconds / 1e6);
  std::fflush(stdout);
}

struct Timer {
  double cpu = CpuSeconds();
  double wall = testing::ClockNanos(CLOCK_MONOTONIC);
  void Print(const char* what, double samples) const {
    storage_service::Print(what, samples, CpuSeconds() - cpu,
                           (testing::ClockNanos(CLOCK_MONOTONIC) - wall) * 1e-9);
  }
};

// All series once, in batches of `batch_size`.
template <typename Take>
void ScrapeAll(const std::vector<uint64_t>& references, Values* values, Timestamp timestamp,
               int batch_size, Take take) {
  storage::AppendBatchWriter writer;
  for (int first = 0; first < kSeries; first += batch_size) {
    // Each target has a time of its own.
    const Timestamp at = timestamp + first / kBatchSize * 37 % 15000;
    writer.Clear(at);
    for (int i = first; i < first + batch_size; ++i) {
      writer.Add(references[static_cast<size_t>(i)], at, values->Next(i));
    }
    take(writer.Finish());
  }
}

void BenchHeadAppend(tsdb::Db* db, const std::vector<uint64_t>& references, Values* values,
                     Timestamp* now, int rounds) {
  tsdb::HeadAppender appender(&db->head());
  tsdb::AppendResult result;
  double cpu = 0;
  double wall = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::string> batches;
    ScrapeAll(references, values, *now += kStepMs, kBatchSize,
              [&](std::string bytes) { batches.push_back(std::move(bytes)); });
    storage::AppendBatch batch;
    const Timer timer;
    for (const std::string& bytes : batches) {
      NARTHEX_CHECK_OK(storage::DecodeAppendBatch(bytes, &batch));
      NARTHEX_CHECK_OK(appender.Append(batch, nullptr, 0, &result));
    }
    cpu += CpuSeconds() - timer.cpu;
    wall += (testing::ClockNanos(CLOCK_MONOTONIC) - timer.wall) * 1e-9;
  }
  Print("head append: decode, check, log, apply", double{kSeries} * rounds, cpu, wall);
}

void BenchGrpcAppend(const Service& service, const std::vector<uint64_t>& references,
                     Values* values, Timestamp* now, int batch_size, int rounds) {
  // Messages of about a thousand samples.
  Sender sender(service.endpoint(), kBatchSize / batch_size);
  const Timer timer;
  for (int round = 0; round < rounds; ++round) {
    ScrapeAll(references, values, *now += kStepMs, batch_size,
              [&](std::string bytes) { sender.Add(std::move(bytes)); });
  }
  sender.Wait();
  timer.Print(StrCat("append over gRPC, batches of ", batch_size, ", both ends").c_str(),
              double{kSeries} * rounds);
  sender.Finish();
}

void BenchSelect(const Service& service, Timestamp now) {
  rpc::RemoteQuerierOptions options;
  options.endpoint = service.endpoint();
  rpc::RemoteQuerier querier(options);
  storage::Selector selector;
  // 10 metrics of 1,000 series each: 10,000 series.
  selector.matchers = {
      Matcher::Create(MatchType::kRegex, "__name__", "http_requests_total_[0-4]").value()};
  selector.hints.end = now;
  const auto run = [&](const char* what, int64_t range_ms, bool newest_only) {
    selector.hints.start = now - range_ms;
    selector.hints.newest_only = newest_only;
    size_t series = 0;
    size_t samples_read = 0;
    const auto once = [&] {
      series = samples_read = 0;
      auto result = querier.Select(std::span(&selector, 1), {});
      NARTHEX_CHECK_OK(result.status());
      SampleBuffer samples;
      while (result->sets[0]->Next()) {
        samples.Clear();
        NARTHEX_CHECK_OK(result->sets[0]->ReadSamples(&samples));
        ++series;
        samples_read += samples.size();
      }
      NARTHEX_CHECK_OK(result->sets[0]->status());
    };
    once();
    const auto timed = testing::RunBench(StrCat("select over gRPC, ", what), 1, once);
    std::printf("    %zu series, %zu samples: %.2f ms wall, %.0f ns CPU a series\n", series,
                samples_read, timed.wall_ns * 1e-6, timed.cpu_ns / static_cast<double>(series));
  };
  run("newest sample", 300'000, true);
  run("5 minutes", 300'000, false);
  run("everything", 24 * 3'600'000, false);

  // What a small question costs, both ends.
  testing::RunBench("question over gRPC: what changed", 1,
                    [&] { NARTHEX_CHECK_OK(querier.Changes("").status()); });
  storage::Selector one = selector;
  one.matchers = {Matcher::Equal("__name__", "http_requests_total_7"),
                  Matcher::Equal("instance", "10.0.0.77:9100")};
  one.hints.newest_only = true;
  testing::RunBench("question over gRPC: newest samples of 10 series", 1, [&] {
    auto result = querier.Select(std::span(&one, 1), {});
    NARTHEX_CHECK_OK(result.status());
    while (result->sets[0]->Next()) {
    }
  });

  const auto& head = service.app->db().head();
  testing::RunBench("head: find 10,000 series by expression", 1, [&] {
    const tsdb::HeadReader reader(&head);
    testing::KeepAlive(reader.Find(selector.matchers).size());
  });
  const std::vector<Matcher> narrow = {Matcher::Equal("__name__", "http_requests_total_7"),
                                       Matcher::Equal("instance", "10.0.0.77:9100")};
  testing::RunBench("head: find 10 series by two equalities", 1, [&] {
    const tsdb::HeadReader reader(&head);
    testing::KeepAlive(reader.Find(narrow).size());
  });
}

void PrintMemory(const tsdb::Head& head, double resident_before, double samples) {
  const tsdb::Head::Memory memory = head.memory();
  const auto line = [](const char* what, size_t bytes) {
    std::printf("    %-30s %8.1f bytes a series\n", what, static_cast<double>(bytes) / kSeries);
  };
  std::printf("memory of %d series, %.0f samples each:\n", kSeries, samples / kSeries);
  line("records", memory.table.records);
  line("references", memory.table.references);
  line("open chunks", memory.table.open_chunks);
  line("closed chunks", memory.table.closed_chunks);
  line("symbols", memory.index.symbols);
  line("label pairs", memory.index.pairs);
  line("postings", memory.index.postings);
  line("label arrays and lookup", memory.index.series);
  line("all counted", memory.total());
  std::printf("    %-30s %8.1f bytes a series\n", "growth of the process",
              (ResidentBytes() - resident_before) / kSeries);
}

void Run() {
  Service service;
  Values values;
  std::vector<uint64_t> references(kSeries);
  Timestamp now = ToTimestamp(RealClock()->Now()) - 4 * 3'600'000;
  const double resident = ResidentBytes();
  {
    Sender sender(service.endpoint(), 1);
    const Timer timer;
    storage::AppendBatchWriter writer;
    for (int first = 0; first < kSeries; first += kBatchSize) {
      writer.Clear(now);
      for (int i = first; i < first + kBatchSize; ++i) {
        writer.AddWithDefinition(static_cast<uint64_t>(i) + 1, SeriesLabels(i), now,
                                 values.Next(i));
      }
      sender.Add(writer.Finish());
    }
    sender.Wait(&references);
    timer.Print("new series over gRPC, both ends", kSeries);
    sender.Finish();
  }
  PrintMemory(service.app->db().head(), resident, kSeries);
  BenchGrpcAppend(service, references, &values, &now, 1000, 40);
  BenchGrpcAppend(service, references, &values, &now, 100, 20);
  BenchHeadAppend(&service.app->db(), references, &values, &now, 60);
  PrintMemory(service.app->db().head(), resident, 121.0 * kSeries);
  BenchSelect(service, now);

  service.app.reset();
  const Timer timer;
  service.Start();
  timer.Print("replay", 121.0 * kSeries);
}

}  // namespace
}  // namespace narthex::storage_service

int main() {
  narthex::storage_service::Run();
  return 0;
}
