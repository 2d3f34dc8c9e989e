// What a warm scrape costs from the body to the batch, and what the append client and a node in the
// same process cost for both ends. Payload: what a node_exporter writes, or the file named on the
// command line.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/rpc/append_client.h"
#include "lib/storage/series_table.h"
#include "lib/textparse/parser.h"
#include "services/scraper/scrape/scrape_batch.h"
#include "tests/support/bench.h"
#include "tests/support/fake_append_server.h"

namespace {

std::atomic<uint64_t> allocations = 0;

}  // namespace

void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace narthex {
namespace {

// Drops batches.
class NullSink final : public storage::BatchSink {
 public:
  storage::SeriesNumber AddSeries(const Labels&) override { return ++last_; }
  void RetireSeries(std::span<const storage::SeriesNumber>) override {}
  uint64_t Append(storage::NumberedBatch) override { return 0; }

 private:
  storage::SeriesNumber last_ = 0;
};

// The shape of a node_exporter: metadata for each family, one to a few dozen series with zero to
// three labels.
std::string NodeExporterBody(int families) {
  std::string body;
  for (int f = 0; f < families; ++f) {
    const std::string name = StrCat("node_subsystem_", f, "_bytes_total");
    StrAppend(&body, "# HELP ", name, " Some statistic of subsystem number ", f,
              " as the kernel tells it.\n# TYPE ", name, " counter\n");
    if (f % 3 == 0) {
      StrAppend(&body, name, " ", f * 17.25, "\n");
      continue;
    }
    for (int i = 0; i < 8; ++i) {
      StrAppend(&body, name, "{cpu=\"", i, "\",device=\"/dev/mapper/volume-", f % 7, "\",mode=\"",
                i % 2 == 0 ? "idle" : "system", "\"} ", f * 1234567.0 + i / 100.0, "\n");
    }
  }
  return body;
}

void BenchBody(const std::string& body, storage::NumberedBatch* batch, NullSink* sink,
               scrape::ScrapeCache* cache) {
  config::ScrapeConfig config;
  const Labels target{{"instance", "127.0.0.1:9100"}, {"job", "node"}};
  scrape::MetadataCache metadata;
  const auto once = [&] {
    *batch = storage::NumberedBatch();
    batch->base_timestamp = 1700000000000;
    scrape::BodyCounts counts;
    auto parser = textparse::NewParser(textparse::Format::kPrometheusText, body);
    NARTHEX_CHECK(parser.ok());
    cache->Begin();
    metadata.Begin();
    scrape::BodyReader reader(&config, &target, cache, &metadata, sink);
    NARTHEX_CHECK_OK(reader.Read(parser->get(), batch, &counts));
    cache->Commit([](storage::SeriesNumber) {});
    metadata.Commit();
  };
  once();
  const size_t samples = batch->size();
  const uint64_t before = allocations.load();
  once();
  std::printf("%zu samples, %zu bytes: %llu allocations a warm scrape\n", samples, body.size(),
              static_cast<unsigned long long>(allocations.load() - before));
  testing::RunBench("warm scrape to batch, a sample", samples, once,
                    {.bytes = static_cast<double>(body.size()) / static_cast<double>(samples)});
}

// Hands out one batch again and again, `count` times.
class RepeatingSource final : public storage::BatchSource {
 public:
  RepeatingSource(std::shared_ptr<const storage::NumberedBatch> batch, storage::SeriesTable* table)
      : batch_(std::move(batch)), table_(table) {}
  const std::string& sender_id() const override { return sender_id_; }
  Item Next(uint64_t after, absl::Duration timeout) override {
    MutexLock lock(&mu_);
    if (after >= last_) changed_.WaitWithTimeout(&mu_, timeout);
    if (after >= last_) return {};
    return {after + 1, batch_};
  }
  Labels SeriesLabels(storage::SeriesNumber number) override { return table_->Find(number); }
  void Wake() override { changed_.SignalAll(); }
  void Connected(uint64_t, uint64_t) override {}
  void Disconnected() override {}
  void Acknowledged(uint64_t accepted, uint64_t) override {
    MutexLock lock(&mu_);
    accepted_ = accepted;
    changed_.SignalAll();
  }
  void Send(uint64_t count) {
    MutexLock lock(&mu_);
    last_ += count;
    changed_.SignalAll();
    while (accepted_ < last_) changed_.Wait(&mu_);
  }

 private:
  const std::string sender_id_ = "0123456789abcdef";
  const std::shared_ptr<const storage::NumberedBatch> batch_;
  storage::SeriesTable* const table_;
  Mutex mu_;
  CondVar changed_;
  uint64_t last_ = 0;
  uint64_t accepted_ = 0;
};

void BenchClient(size_t samples) {
  testing::FakeAppendServer server;
  server.DiscardSamples();
  server.Start();
  storage::SeriesTable table;
  auto batch = std::make_shared<storage::NumberedBatch>();
  batch->base_timestamp = 1700000000000;
  for (size_t i = 0; i < samples; ++i) {
    batch->Add(table.Add(Labels{{"__name__", "node_some_metric"}, {"i", StrCat(i)}}),
               static_cast<double>(i) * 1.1);
  }
  RepeatingSource source(batch, &table);
  metrics::Registry registry;
  rpc::AppendClientOptions options;
  options.endpoint = server.endpoint();
  rpc::AppendClient client(options, &source, Logger(), &registry);
  client.Start();
  constexpr uint64_t kBatches = 200;
  source.Send(1);
  source.Send(kBatches);
  const uint64_t before = allocations.load();
  source.Send(kBatches);
  const double allocated = static_cast<double>(allocations.load() - before);
  std::printf("append client, batches of %zu: %.1f allocations a batch at both ends\n", samples,
              allocated / kBatches);
  testing::RunBench(StrCat("append client and node, batches of ", samples, ", a sample"),
                    samples * kBatches, [&] { source.Send(kBatches); });
  client.Stop();
}

}  // namespace
}  // namespace narthex

int main(int argc, char** argv) {
  using namespace narthex;
  std::string body = NodeExporterBody(250);
  if (argc > 1) {
    std::ifstream file(argv[1]);
    std::stringstream text;
    text << file.rdbuf();
    body = text.str();
  }
  NullSink sink;
  scrape::ScrapeCache cache;
  storage::NumberedBatch batch;
  BenchBody(body, &batch, &sink, &cache);
  for (const size_t samples : {size_t{100}, size_t{600}, size_t{1500}, size_t{10000}}) {
    BenchClient(samples);
  }
  return 0;
}
