// The Append stream over real gRPC.
#include "catch2/catch.hpp"
#include "tests/unit/services/storage/app_fixture.h"

namespace narthex::storage_service {
namespace {

const Labels kUp{{"__name__", "up"}, {"job", "a"}};
const Labels kDown{{"__name__", "down"}, {"job", "a"}};
const Timestamp kStart = absl::ToUnixMillis(absl::Now()) - 100'000;

std::string Define(std::initializer_list<std::pair<uint64_t, Labels>> series, Timestamp timestamp,
                   double value) {
  storage::AppendBatchWriter writer;
  writer.Clear(timestamp);
  for (const auto& [number, labels] : series) {
    writer.AddWithDefinition(number, labels, timestamp, value);
  }
  return writer.Finish();
}

std::string Sample(uint64_t reference, Timestamp timestamp, double value) {
  storage::AppendBatchWriter writer;
  writer.Clear(timestamp);
  writer.Add(reference, timestamp, value);
  return writer.Finish();
}

TEST_CASE("Batches are accepted, visible at once, and durable within a second or so") {
  AppFixture fixture;
  fixture.Start();
  RawAppender appender(fixture.endpoint(), "sender");
  CHECK(appender.welcome.reference_space().size() == 16);
  CHECK(appender.welcome.accepted_sequence() == 0);
  REQUIRE(appender.Send(1, Define({{1, kUp}, {2, kDown}}, kStart, 5)));
  REQUIRE(appender.WaitAccepted(1));
  REQUIRE(appender.references.size() == 2);
  CHECK(fixture.Select({Matcher::Equal("job", "a")}).size() == 2);

  REQUIRE(appender.Send(2, Sample(appender.references[2], kStart + 10, 6)));
  REQUIRE(appender.Send(3, Sample(appender.references[2], kStart + 9, 6)));
  REQUIRE(appender.WaitAccepted(3));
  CHECK(appender.refused_samples ==
        std::map<uint32_t, uint64_t>{{static_cast<uint32_t>(storage::Refusal::kOutOfOrder), 1}});
  CHECK(fixture.Select({Matcher::Equal("__name__", "down")})[kDown] ==
        std::vector<std::pair<Timestamp, double>>{{kStart, 5}, {kStart + 10, 6}});
  const absl::Time sent = absl::Now();
  REQUIRE(appender.WaitDurable(3));
  CHECK(absl::Now() - sent < absl::Seconds(5));
  CHECK(appender.Finish().ok());
  CHECK(fixture.Metric("prometheus_tsdb_head_samples_appended_total") == 3);
  CHECK(fixture.Metric("prometheus_tsdb_head_series") == 2);
}

TEST_CASE("A sender goes on where it was, and what comes twice is skipped") {
  AppFixture fixture;
  fixture.Start();
  std::string space;
  uint64_t reference = 0;
  {
    RawAppender appender(fixture.endpoint(), "sender");
    REQUIRE(appender.Send(7, Define({{1, kUp}}, kStart, 1)));
    REQUIRE(appender.WaitAccepted(7));
    space = appender.welcome.reference_space();
    reference = appender.references[1];
  }
  for (const bool restart : {false, true}) {
    if (restart) fixture.Start();
    RawAppender appender(fixture.endpoint(), "sender");
    CHECK(appender.welcome.reference_space() == space);
    CHECK(appender.welcome.reference_max() >= reference);
    CHECK(appender.welcome.accepted_sequence() == (restart ? 8 : 7));
    REQUIRE(appender.Send(7, Define({{1, kUp}}, kStart, 99)));
    REQUIRE(appender.Send(8, Sample(reference, kStart + 1, 2)));
    REQUIRE(appender.WaitAccepted(8));
    CHECK(appender.refused_samples.empty());
    CHECK(fixture.Select({})[kUp] ==
          std::vector<std::pair<Timestamp, double>>{{kStart, 1}, {kStart + 1, 2}});
  }
  RawAppender other(fixture.endpoint(), "another");
  CHECK(other.welcome.accepted_sequence() == 0);
}

TEST_CASE("After an unknown reference all batches wait until the first comes with definitions") {
  AppFixture fixture;
  fixture.Start();
  RawAppender appender(fixture.endpoint(), "sender");
  REQUIRE(appender.Send(1, Sample(4711, kStart, 1)));
  REQUIRE(appender.Send(2, Define({{1, kUp}}, kStart + 1, 2)));
  REQUIRE(appender.Send(3, Define({{1, kUp}}, kStart + 2, 3)));
  REQUIRE(appender.WaitRefused());
  CHECK(appender.refused_sequence == 1);
  CHECK(appender.unknown_references == std::vector<uint64_t>{4711});
  REQUIRE(appender.Send(1, Define({{1, kUp}}, kStart, 1)));
  REQUIRE(appender.Send(2, Define({{1, kUp}}, kStart + 1, 2)));
  REQUIRE(appender.Send(3, Define({{1, kUp}}, kStart + 2, 3)));
  REQUIRE(appender.WaitAccepted(3));
  CHECK(fixture.Select({})[kUp].size() == 3);
  CHECK(appender.refused_samples.empty());
}

TEST_CASE("A split batch is applied when its last frame has come, and dropped when it does not") {
  AppFixture fixture;
  fixture.Start();
  const std::string whole = Define({{1, kUp}, {2, kDown}}, kStart, 1);
  {
    RawAppender appender(fixture.endpoint(), "sender");
    REQUIRE(appender.Send(1, whole.substr(0, 10), false));
    REQUIRE(appender.Send(1, whole.substr(10, 5), false));
    REQUIRE(appender.Send(1, whole.substr(15), true));
    REQUIRE(appender.WaitAccepted(1));
    const std::string next = Define({{1, kUp}, {2, kDown}}, kStart + 1, 2);
    REQUIRE(appender.Send(2, next.substr(0, 20), false));
    appender.Break();
  }
  RawAppender appender(fixture.endpoint(), "sender");
  CHECK(appender.welcome.accepted_sequence() == 1);
  CHECK(fixture.Select({})[kUp].size() == 1);
  const std::string next = Define({{1, kUp}, {2, kDown}}, kStart + 1, 2);
  REQUIRE(appender.Send(2, next.substr(0, 20), false));
  REQUIRE(appender.Send(2, next.substr(20), true));
  REQUIRE(appender.WaitAccepted(2));
  CHECK(fixture.Select({})[kDown].size() == 2);
}

TEST_CASE("A batch that cannot be decoded is kept aside, counted, and passed over") {
  AppFixture fixture;
  fixture.Start();
  RawAppender appender(fixture.endpoint(), "sender");
  REQUIRE(appender.Send(1, "not a batch"));
  REQUIRE(appender.Send(2, Define({{1, kUp}}, kStart, 1)));
  REQUIRE(appender.WaitAccepted(2));
  CHECK(appender.quarantined == std::vector<uint64_t>{1});
  CHECK(fixture.Select({}).size() == 1);
  const auto files = io::PosixFileSystem()->List(fixture.dir.File("data/quarantine"));
  REQUIRE(files.ok());
  REQUIRE(files->size() == 1);
  CHECK(io::PosixFileSystem()
            ->ReadFile(io::JoinPath(fixture.dir.File("data/quarantine"), (*files)[0]))
            .value() == "not a batch");
  CHECK(fixture.Metric("narthex_storage_quarantined_batches_total") == 1);
  appender.Finish();
  fixture.Start();
  CHECK(RawAppender(fixture.endpoint(), "sender").welcome.accepted_sequence() == 2);
}

TEST_CASE("A stream without hello, with two, or with sequence 0 is an error") {
  AppFixture fixture;
  fixture.Start();
  const auto stub = v1::Storage::NewStub(rpc::MakeChannel(fixture.endpoint()));
  {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    const auto stream = stub->Append(&context);
    v1::AppendRequest request;
    request.mutable_batches();
    stream->Write(request);
    v1::AppendResponse response;
    CHECK(!stream->Read(&response));
    CHECK(stream->Finish().error_code() == grpc::INVALID_ARGUMENT);
  }
  RawAppender zero(fixture.endpoint(), "sender");
  zero.Send(0, Define({{1, kUp}}, kStart, 1));
  CHECK(zero.Finish().error_code() == grpc::INVALID_ARGUMENT);
  RawAppender nameless(fixture.endpoint(), "");
  CHECK(nameless.Finish().error_code() == grpc::INVALID_ARGUMENT);
}

TEST_CASE("Several senders write side by side") {
  AppFixture fixture;
  fixture.Start();
  constexpr int kSenders = 4;
  constexpr int kBatches = 100;
  std::vector<Thread> threads;
  for (int sender = 0; sender < kSenders; ++sender) {
    threads.emplace_back("sender", [&fixture, sender] {
      RawAppender appender(fixture.endpoint(), StrCat("sender ", sender));
      const Labels labels{{"__name__", "m"}, {"sender", StrCat(sender)}};
      appender.Send(1, Define({{1, labels}}, kStart, 0));
      appender.WaitAccepted(1);
      for (uint64_t i = 1; i < kBatches; ++i) {
        appender.Send(i + 1, Sample(appender.references[1], kStart + static_cast<Timestamp>(i),
                                    static_cast<double>(i)));
      }
      appender.WaitAccepted(kBatches);
      appender.Finish();
    });
  }
  threads.clear();
  const auto series = fixture.Select({});
  CHECK(series.size() == kSenders);
  for (const auto& [labels, samples] : series) CHECK(samples.size() == kBatches);
}

TEST_CASE("Stopping ends open streams at once") {
  AppFixture fixture;
  fixture.Start();
  RawAppender appender(fixture.endpoint(), "sender");
  REQUIRE(appender.Send(1, Define({{1, kUp}}, kStart, 1)));
  REQUIRE(appender.WaitAccepted(1));
  const absl::Time start = absl::Now();
  fixture.app->Stop();
  CHECK(absl::Now() - start < absl::Seconds(5));
  CHECK(!appender.WaitAccepted(2));
}

}  // namespace
}  // namespace narthex::storage_service
