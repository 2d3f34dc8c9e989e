// Select and its companions over real gRPC, through the client that query uses; and the App around
// them.
#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/rpc/status.h"
#include "tests/unit/services/storage/app_fixture.h"

namespace narthex::storage_service {
namespace {

const Timestamp kStart = absl::ToUnixMillis(absl::Now()) - 10'000'000;

Labels Numbered(int i) {
  return Labels{
      {"__name__", i % 2 == 0 ? "even" : "odd"}, {"i", StrCat(i)}, {"mod", StrCat(i % 10)}};
}

void Fill(AppFixture* fixture, int series, int samples) {
  for (int k = 0; k < samples; ++k) {
    tsdb::DbAppender appender(&fixture->app->db().head());
    for (int i = 0; i < series; ++i) appender.Append(Numbered(i), kStart + k * 15000, i * 1000 + k);
    REQUIRE(appender.Commit().ok());
  }
}

TEST_CASE("Samples come back over many frames as they went in") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 3000, 130);
  const auto all = fixture.Select({});
  REQUIRE(all.size() == 3000);
  for (int i = 0; i < 3000; i += 371) {
    const auto& samples = all.at(Numbered(i));
    REQUIRE(samples.size() == 130);
    for (int k = 0; k < 130; ++k) {
      CHECK(samples[static_cast<size_t>(k)] ==
            std::pair<Timestamp, double>(kStart + k * 15000, i * 1000 + k));
    }
  }
  const auto part = fixture.Select({Matcher::Equal("mod", "3")}, kStart + 15000, kStart + 44999);
  CHECK(part.size() == 300);
  for (const auto& [labels, samples] : part) CHECK(samples.size() == 2);
  CHECK(fixture.Select({Matcher::Equal("mod", "3")}, 0, kStart - 1).empty());
}

Histogram NumberedHistogram(int i) {
  Histogram histogram;
  histogram.schema = 2;
  histogram.zero_threshold = 1e-6;
  histogram.zero_count = static_cast<uint64_t>(i);
  histogram.positive_spans = {{-1, 2}, {3, 1}};
  histogram.positive_deltas = {i, 1, -1};
  histogram.negative_spans = {{0, 1}};
  histogram.negative_deltas = {2};
  histogram.count = static_cast<uint64_t>(4 * i + 3);
  histogram.sum = 0.25 * i;
  return histogram;
}

// Bounds of its own, and a reset now and then.
FloatHistogram CustomHistogram(int i) {
  FloatHistogram histogram;
  histogram.schema = kCustomBucketsSchema;
  histogram.custom_values = {0.1, 0.5, 2.5};
  histogram.positive_spans = {{0, 4}};
  const double base = i % 50;
  histogram.positive_buckets = {base, base + 1, base + 2, 0.5};
  histogram.count = 3 * base + 3.5;
  histogram.sum = base * 7;
  return histogram;
}

TEST_CASE("Histograms come back over the stream as they went in, from the head and from blocks") {
  AppFixture fixture;
  fixture.Start();
  constexpr int kSamples = 700;
  constexpr int64_t kStepMs = 30'000;  // Almost six hours.
  const Timestamp begin = absl::ToUnixMillis(absl::Now()) - kSamples * kStepMs;
  const auto integer = [](int i) { return NumberedHistogram(i); };
  RawAppender appender(fixture.endpoint(), "histograms");
  for (int i = 0; i < kSamples; ++i) {
    storage::AppendBatchWriter writer;
    const Timestamp timestamp = begin + i * kStepMs;
    writer.Clear(timestamp);
    const auto add = [&](storage::SeriesNumber number, const char* kind, double sum) {
      const Labels labels{{"__name__", "latency"}, {"kind", kind}};
      const auto known = appender.references.find(number);
      if (known == appender.references.end()) {
        writer.AddWithDefinition(number, labels, timestamp, sum);
      } else {
        writer.Add(known->second, timestamp, sum);
      }
    };
    add(1, "integer", integer(i).sum);
    writer.SetHistogram(integer(i));
    add(2, "float", CustomHistogram(i).sum);
    writer.SetHistogram(CustomHistogram(i));
    // Both kinds of samples in one series.
    add(3, "mixed", 1.0 * i);
    if (i / 100 % 2 == 1) writer.SetHistogram(ToFloat(integer(i)));
    REQUIRE(appender.Send(static_cast<uint64_t>(i) + 1, writer.Finish()));
    REQUIRE(appender.WaitAccepted(static_cast<uint64_t>(i) + 1));
  }
  CHECK(appender.refused_samples.empty());

  const auto check = [&] {
    const auto querier = fixture.Querier();
    storage::Selector selector;
    selector.matchers = {Matcher::Equal("__name__", "latency")};
    selector.hints.start = 0;
    selector.hints.end = kMaxTimestamp / 2;
    auto result = querier->Select(std::span(&selector, 1), {});
    REQUIRE(result.ok());
    int series = 0;
    SampleBuffer samples;
    for (storage::SeriesSet& set = *result->sets[0]; set.Next(); ++series) {
      samples.Clear();
      REQUIRE(set.ReadSamples(&samples).ok());
      const std::string kind(set.labels().Get("kind"));
      INFO(kind);
      REQUIRE(samples.size() == kSamples);
      for (int i = 0; i < kSamples; ++i) {
        const size_t k = static_cast<size_t>(i);
        REQUIRE(samples.timestamps()[k] == begin + i * kStepMs);
        const bool mixed_histogram = i / 100 % 2 == 1;
        if (kind == "integer") {
          REQUIRE(samples.kind(k) == SampleKind::kHistogram);
          REQUIRE(Same(samples.histogram(k), integer(i)));
        } else if (kind == "float") {
          REQUIRE(samples.kind(k) == SampleKind::kFloatHistogram);
          REQUIRE(Same(samples.float_histogram(k), CustomHistogram(i)));
        } else if (mixed_histogram) {
          REQUIRE(samples.kind(k) == SampleKind::kFloatHistogram);
          REQUIRE(Same(samples.float_histogram(k), ToFloat(integer(i))));
        } else {
          REQUIRE(samples.kind(k) == SampleKind::kFloat);
          REQUIRE(samples.values()[k] == 1.0 * i);
        }
      }
    }
    CHECK(series == 3);
  };
  check();
  REQUIRE(fixture.app->db().Compact().ok());
  REQUIRE_FALSE(fixture.app->db().blocks()->empty());
  check();
}

TEST_CASE("Sorted answers are in label order, and a limit cuts them") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 200, 1);
  storage::Selector selector;
  selector.hints.end = kMaxTimestamp / 2;
  storage::SelectOptions options;
  options.sorted = true;
  std::vector<Labels> order;
  fixture.SelectWith(selector, options, &order);
  REQUIRE(order.size() == 200);
  CHECK(std::is_sorted(order.begin(), order.end()));
  selector.hints.limit = 7;
  std::vector<Labels> first;
  fixture.SelectWith(selector, options, &first);
  order.resize(7);
  CHECK(first == order);
}

TEST_CASE("Instant selections get the newest sample alone") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 50, 200);
  storage::Selector selector;
  selector.hints.newest_only = true;
  for (const int k : {0, 77, 120, 199}) {
    selector.hints.end = kStart + k * 15000 + 14999;
    selector.hints.start = selector.hints.end - 300'000;
    const auto series = fixture.SelectWith(selector, {});
    REQUIRE(series.size() == 50);
    for (int i = 0; i < 50; ++i) {
      CHECK(series.at(Numbered(i)) ==
            std::vector<std::pair<Timestamp, double>>{{kStart + k * 15000, i * 1000 + k}});
    }
  }
  selector.hints.labels_only = true;
  const auto series = fixture.SelectWith(selector, {});
  CHECK(series.size() == 50);
  for (const auto& [labels, samples] : series) CHECK(samples.empty());
}

TEST_CASE("A series of which everything is deleted is not answered") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 4, 300);
  tsdb::Db& db = fixture.app->db();
  const std::vector<Matcher> all_of_it = {Matcher::Equal("i", "1")};
  const std::vector<Matcher> some_of_it = {Matcher::Equal("i", "2")};
  REQUIRE(db.Delete(all_of_it, kMinTimestamp, kMaxTimestamp).ok());
  REQUIRE(db.Delete(some_of_it, kMinTimestamp, kStart + 298 * 15000).ok());
  const auto series = fixture.Select({});
  CHECK(series.size() == 3);
  CHECK(series.count(Numbered(1)) == 0);
  CHECK(series.at(Numbered(2)) ==
        std::vector<std::pair<Timestamp, double>>{{kStart + 299 * 15000, 2299}});
}

TEST_CASE("Limits of series, samples and bytes are kept") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 100, 50);
  const auto querier = fixture.Querier();
  storage::Selector selector;
  selector.hints.end = kMaxTimestamp / 2;
  struct Case {
    uint64_t series;
    uint64_t samples;
    uint64_t bytes;
    const char* message;
  };
  for (const Case& c : {Case{99, 0, 0, "more than 99 series"}, Case{0, 4999, 0, "too many samples"},
                        Case{0, 0, 1000, "more than 1000 bytes"}, Case{100, 5000, 1 << 20, ""}}) {
    storage::SelectOptions options;
    options.series_max = c.series;
    options.samples_max = c.samples;
    options.bytes_max = c.bytes;
    auto result = querier->Select(std::span(&selector, 1), options);
    absl::Status status = result.status();
    if (result.ok()) {
      SampleBuffer samples;
      while (result->sets[0]->Next()) {
      }
      status = result->sets[0]->status();
    }
    INFO(status.ToString());
    if (c.message[0] == '\0') {
      CHECK(status.ok());
    } else {
      CHECK(status.code() == absl::StatusCode::kResourceExhausted);
      CHECK(std::string(Message(status)).find(c.message) != std::string::npos);
    }
  }
}

TEST_CASE("Label names and values come with and without matchers and within a time range") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 20, 1);
  const auto querier = fixture.Querier();
  const Timestamp end = kMaxTimestamp / 2;
  using Names = std::vector<std::string>;
  CHECK(querier->LabelNames({}, 0, end).value() == Names{"__name__", "i", "mod"});
  CHECK(querier->LabelNames({}, 0, kStart - 1).value().empty());
  CHECK(querier->LabelValues("__name__", {}, 0, end).value() == Names{"even", "odd"});
  CHECK(querier->LabelValues("__name__", {}, kStart + 1, end).value().empty());
  CHECK(querier->LabelValues("nothing", {}, 0, end).value().empty());
  const std::vector<std::vector<Matcher>> sets = {
      {Matcher::Equal("i", "3")},
      {Matcher::Equal("__name__", "even"), Matcher::Create(MatchType::kRegex, "i", "1.").value()}};
  CHECK(querier->LabelValues("i", sets, 0, end).value() ==
        Names{"10", "12", "14", "16", "18", "3"});
  CHECK(querier->LabelNames(sets, 0, end).value().size() == 3);
}

TEST_CASE("Labels of ids that are gone or of another space") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 2, 1);
  const auto stub = v1::Storage::NewStub(rpc::MakeChannel(fixture.endpoint()));
  v1::ReadRequest question;
  v1::LabelsRequest& request = *question.mutable_labels();
  request.set_reference_space(fixture.app->db().head().reference_space());
  request.add_id_deltas(1);
  request.add_id_deltas(1000);
  request.add_id_deltas(-999);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  const auto stream = stub->Read(&context);
  v1::ReadResponse response;
  REQUIRE(stream->Write(question));
  REQUIRE(stream->Read(&response));
  CHECK(response.labels() == std::string("\x03\x08__name__\x04"
                                         "even\x01i\x01"
                                         "0\x03mod\x01"
                                         "0\x00"
                                         "\x03\x08__name__\x03odd\x01i\x01"
                                         "1\x03mod\x01"
                                         "1",
                                         50));
  REQUIRE(response.has_end());
  CHECK(response.end().code() == 0);
  // The stream takes one question after another, whatever becomes of them.
  request.set_reference_space("0123456789abcdef");
  REQUIRE(stream->Write(question));
  REQUIRE(stream->Read(&response));
  CHECK(response.end().code() == grpc::FAILED_PRECONDITION);
  REQUIRE(stream->Write(v1::ReadRequest()));
  REQUIRE(stream->Read(&response));
  CHECK(response.end().code() == grpc::UNIMPLEMENTED);
  stream->WritesDone();
  CHECK(!stream->Read(&response));
  CHECK(stream->Finish().ok());
}

TEST_CASE("A selection names the revision and the oldest change") {
  AppFixture fixture;
  fixture.Start();
  Fill(&fixture, 1, 1);
  const auto querier = fixture.Querier();
  const std::vector<storage::Selector> none_selected(1);
  const auto changes = [&](const std::string& known) {
    storage::SelectOptions options;
    options.known_revision = known;
    const auto result = querier->Select(none_selected, options);
    REQUIRE(result.ok());
    // Both ways say the same.
    const storage::DataChanges asked = querier->Changes(known).value();
    CHECK(asked.revision == result->changes.revision);
    CHECK(asked.oldest_change == result->changes.oldest_change);
    return asked;
  };
  const storage::DataChanges first = changes("");
  CHECK(!first.revision.empty());
  CHECK(first.oldest_change == kMinTimestamp);
  CHECK(changes(first.revision).oldest_change == kMaxTimestamp);
  CHECK(changes("unknown").oldest_change == kMinTimestamp);
  tsdb::DbAppender appender(&fixture.app->db().head());
  appender.Append(Labels{{"a", "b"}}, kStart + 5, 1);
  REQUIRE(appender.Commit().ok());
  const storage::DataChanges second = changes(first.revision);
  CHECK(second.revision != first.revision);
  // Changes of one second share a bound.
  CHECK(second.oldest_change <= kStart + 5);
  CHECK(second.oldest_change >= kStart);
}

TEST_CASE("A folder that another process has locked is one clear error") {
  AppFixture fixture;
  fixture.Start();
  AppFixture second;
  second.options = fixture.options;
  const absl::Status status = second.TryStart();
  CHECK(!status.ok());
  INFO(status.ToString());
  CHECK(Message(status).find("--storage.path") == 0);
}

TEST_CASE("A folder that is a file is one clear error") {
  AppFixture fixture;
  REQUIRE(io::PosixFileSystem()->WriteFileAtomically(fixture.dir.File("file"), "x").ok());
  fixture.options.path = fixture.dir.File("file");
  const absl::Status status = fixture.TryStart();
  CHECK(!status.ok());
  CHECK(Message(status).find("--storage.path") == 0);
}

TEST_CASE("Until the log is replayed every call is unavailable and says how far it is") {
  // A database that is opened and never replayed stands for one in the middle of it.
  TempDir dir;
  tsdb::DbOptions db_options;
  db_options.path = dir.path();
  auto db = tsdb::Db::Open(db_options, io::PosixFileSystem(), RealClock(), Logger());
  REQUIRE(db.ok());
  metrics::Registry registry;
  StorageService::Options options;
  options.db = db->get();
  options.clock = RealClock();
  options.registry = &registry;
  options.reload = [] { return InvalidArgument("bad config"); };
  StorageService service(std::move(options));
  auto server = rpc::Server::Create({}, {service.service()});
  REQUIRE(server.ok());
  const std::string endpoint = StrCat("127.0.0.1:", (*server)->port());
  rpc::RemoteQuerierOptions querier_options;
  querier_options.endpoint = endpoint;
  rpc::RemoteQuerier querier(querier_options);
  const absl::Status names = querier.LabelNames({}, 0, 1).status();
  CHECK(names.code() == absl::StatusCode::kUnavailable);
  CHECK(Message(names).find("the log is being replayed, segment 1 of 1") != std::string::npos);
  RawAppender appender(endpoint, "sender");
  CHECK(appender.Finish().error_code() == grpc::UNAVAILABLE);
  CHECK(Message(querier.Reload()).find("bad config") != std::string::npos);
  REQUIRE((*db)->Replay([] { return false; }).ok());
  CHECK(querier.LabelNames({}, 0, 1).ok());
}

}  // namespace
}  // namespace narthex::storage_service
