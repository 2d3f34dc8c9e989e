// Remote write 1.0 without a network: a request of 2,000 known series with 1 and with 20 samples
// each, decoded, and taken whole (snappy, head, log). One operation is one sample.
#include <cstdio>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/snappy.h"
#include "lib/base/strings.h"
#include "lib/remote/proto_writer.h"
#include "services/storage/remote/endpoints.h"
#include "services/storage/remote/write_v1.h"
#include "tests/support/bench.h"
#include "tests/support/temp_dir.h"

namespace narthex::storage_remote {
namespace {

constexpr int kSeries = 2000;
constexpr int64_t kStepMs = 15'000;

// The labels of one series, as fields of its message.
std::string LabelFields(int series) {
  std::string fields;
  remote::ProtoWriter writer(&fields);
  const std::pair<std::string, std::string> labels[] = {
      {"__name__", StrCat("node_network_receive_bytes_total_", series % 40)},
      {"cluster", "production-eu-west-1"},
      {"device", StrCat("eth", series % 8)},
      {"instance", StrCat("node-", series / 40, ".example.com:9100")},
      {"job", "node-exporter"},
      {"namespace", "monitoring"},
      {"pod", StrCat("node-exporter-x", series / 40)},
      {"zone", "eu-west-1a"},
  };
  for (const auto& [name, value] : labels) {
    const remote::ProtoWriter::Mark mark = writer.Begin(1);
    writer.Bytes(1, name);
    writer.Bytes(2, value);
    writer.End(mark);
  }
  return fields;
}

std::string Request(const std::vector<std::string>& labels, int samples, Timestamp first) {
  std::string message;
  remote::ProtoWriter writer(&message);
  for (int s = 0; s < kSeries; ++s) {
    const remote::ProtoWriter::Mark series = writer.Begin(1);
    message.append(labels[static_cast<size_t>(s)]);
    for (int i = 0; i < samples; ++i) {
      const remote::ProtoWriter::Mark sample = writer.Begin(2);
      const Timestamp time = first + i * kStepMs;
      writer.Double(1, static_cast<double>(time / kStepMs % 1000 * (s + 1)));
      writer.Int64(2, time);
      writer.End(sample);
    }
    writer.End(series);
  }
  return message;
}

void Run(int samples) {
  std::vector<std::string> labels;
  for (int s = 0; s < kSeries; ++s) labels.push_back(LabelFields(s));
  const auto operations = static_cast<size_t>(kSeries) * static_cast<size_t>(samples);
  const std::string of = StrCat(", ", samples, " samples a series");

  const std::string one = Request(labels, samples, 1'700'000'000'000);
  WriteV1Decoder decoder;
  WriteColumns columns;
  testing::RunBench(StrCat("decode", of), operations,
                    [&] { testing::KeepAlive(decoder.Decode(one, 1, &columns).ok()); });

  TempDir dir;
  metrics::Registry registry;
  tsdb::DbOptions db_options;
  db_options.path = dir.File("data");
  auto db = tsdb::Db::Open(db_options, io::PosixFileSystem(), RealClock(), Logger());
  if (!db.ok() || !(*db)->Replay([] { return false; }).ok()) return;
  Endpoints::Options options;
  options.db = db->get();
  options.clock = RealClock();
  options.registry = &registry;
  Endpoints endpoints(options);
  // Made before the clock runs.
  constexpr int kRequests = 60;
  const Timestamp start = ToTimestamp(RealClock()->Now()) - kRequests * samples * kStepMs;
  std::vector<std::string> bodies;
  std::string buffer;
  for (int i = 0; i < kRequests; ++i) {
    bodies.emplace_back(
        SnappyCompress(Request(labels, samples, start + i * samples * kStepMs), &buffer));
  }
  rpc::IngestCall call;
  int failed = 0;
  call.body = bodies[0];
  failed += endpoints.Ingest(call).status == 204 ? 0 : 1;
  const double cpu_start = testing::ClockNanos(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 1; i < kRequests; ++i) {
    call.body = bodies[static_cast<size_t>(i)];
    failed += endpoints.Ingest(call).status == 204 ? 0 : 1;
  }
  const double cpu = testing::ClockNanos(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
  std::printf("%-48s cpu %10.2f ns   (%d requests failed)\n", StrCat("taken whole", of).c_str(),
              cpu / static_cast<double>(operations) / (kRequests - 1), failed);
}

}  // namespace
}  // namespace narthex::storage_remote

int main() {
  narthex::storage_remote::Run(1);
  narthex::storage_remote::Run(20);
}
