#include <string>
#include <vector>

#include "lib/model/stale.h"
#include "prometheus/remote.pb.h"
#include "services/storage/remote/write_handler.h"
#include "services/storage/remote/write_v1.h"
#include "tests/unit/services/storage/remote/remote_fixture.h"

namespace narthex::storage_remote {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Samples = std::vector<std::pair<Timestamp, double>>;

prometheus::TimeSeries* AddSeries(prometheus::WriteRequest* request, const Pairs& labels,
                                  const Samples& samples) {
  prometheus::TimeSeries* const series = request->add_timeseries();
  for (const auto& [name, value] : labels) {
    prometheus::Label* const label = series->add_labels();
    label->set_name(name);
    label->set_value(value);
  }
  for (const auto& [timestamp, value] : samples) {
    prometheus::Sample* const sample = series->add_samples();
    sample->set_timestamp(timestamp);
    sample->set_value(value);
  }
  return series;
}

std::string Request(const Pairs& labels, const Samples& samples) {
  prometheus::WriteRequest request;
  AddSeries(&request, labels, samples);
  return request.SerializeAsString();
}

const Pairs kUp = {{"__name__", "up"}, {"job", "x"}};
const Labels kUpLabels{{"__name__", "up"}, {"job", "x"}};

}  // namespace

TEST_CASE("Samples are stored under their labels, and once when they come again") {
  RemoteFixture fixture;
  prometheus::WriteRequest request;
  AddSeries(&request, kUp, {{kNow - 2, 1}, {kNow - 1, 0}, {kNow, StaleNan()}});
  AddSeries(&request, {{"job", "y"}, {"empty", ""}, {"__name__", "down"}}, {{0, -1.5}, {7, 2}});
  AddSeries(&request, {{"__name__", "no_samples"}}, {});
  CHECK(fixture.Write(request.SerializeAsString()).status == 204);
  // The newest of each series comes again; what is older than it would be out of order.
  request.mutable_timeseries(0)->mutable_samples()->DeleteSubrange(0, 2);
  request.mutable_timeseries(1)->mutable_samples()->DeleteSubrange(0, 1);
  for (int i = 0; i < 3; ++i) CHECK(fixture.Write(request.SerializeAsString()).status == 204);
  const auto all = fixture.All();
  REQUIRE(all.size() == 2);
  REQUIRE(all.at(kUpLabels).size() == 3);
  CHECK(all.at(kUpLabels)[0] == std::pair<Timestamp, double>(kNow - 2, 1));
  CHECK(all.at(kUpLabels)[1] == std::pair<Timestamp, double>(kNow - 1, 0));
  CHECK(IsStale(all.at(kUpLabels)[2].second));
  CHECK(all.at(Labels{{"__name__", "down"}, {"job", "y"}}) == Samples{{0, -1.5}, {7, 2}});
}

TEST_CASE("Of 1.0 a sample that is refused takes the whole request back") {
  struct Case {
    std::string name;
    Pairs labels;
    Samples samples;
    std::string text;
  };
  const Case cases[] = {
      {"older",
       kUp,
       {{kNow - 5, 1}},
       "out of order sample for series {__name__=\"up\", job=\"x\"}"},
      {"another value", kUp, {{kNow, 2}}, "duplicate sample for timestamp"},
      {"too far ahead", {{"__name__", "new"}}, {{kNow + 601'000, 1}}, "out of bounds"},
      {"a label twice",
       {{"__name__", "n"}, {"a", "1"}, {"a", "2"}},
       {{kNow, 1}},
       "a label name twice"},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    RemoteFixture fixture;
    REQUIRE(fixture.Write(Request(kUp, {{kNow, 1}})).status == 204);
    prometheus::WriteRequest request;
    AddSeries(&request, {{"__name__", "good"}}, {{kNow, 1}});
    AddSeries(&request, c.labels, c.samples);
    const http::ServerResponse response = fixture.Write(request.SerializeAsString());
    CHECK(response.status == 400);
    CHECK_THAT(response.body, Catch::StartsWith(c.text));
    CHECK(fixture.All().size() == 1);
    // The good part alone is taken afterwards.
    request.mutable_timeseries()->RemoveLast();
    CHECK(fixture.Write(request.SerializeAsString()).status == 204);
    CHECK(fixture.All().size() == 2);
  }
}

TEST_CASE("Of 1.0 a series without a name or with broken text is passed over and counted") {
  RemoteFixture fixture;
  prometheus::WriteRequest request;
  AddSeries(&request, {{"job", "x"}}, {{kNow, 1}, {kNow + 1, 1}});
  AddSeries(&request, {{"__name__", "bad"}, {"a", "\xff"}}, {{kNow, 1}});
  AddSeries(&request, {{"__name__", "bad"}, {"", "v"}}, {{kNow, 1}});
  AddSeries(&request, {{"__name__", "ünïcode.name"}, {"l.b", "✓"}}, {{kNow, 1}});
  CHECK(fixture.Write(request.SerializeAsString()).status == 204);
  CHECK(fixture.All().size() == 1);
  CHECK(fixture.Metric("prometheus_api_remote_write_invalid_labels_samples_total") == 4);
}

TEST_CASE("Known series go on at the limit, and new ones are refused and named") {
  tsdb::DbOptions options;
  options.head.limits.series_max = 2;
  RemoteFixture fixture({}, options);
  prometheus::WriteRequest request;
  AddSeries(&request, {{"__name__", "a"}}, {{kNow, 1}});
  AddSeries(&request, {{"__name__", "b"}}, {{kNow, 1}});
  REQUIRE(fixture.Write(request.SerializeAsString()).status == 204);
  prometheus::WriteRequest more;
  AddSeries(&more, {{"__name__", "a"}}, {{kNow + 1, 2}});
  AddSeries(&more, {{"__name__", "c"}}, {{kNow + 1, 2}});
  const http::ServerResponse response = fixture.Write(more.SerializeAsString());
  CHECK(response.status == 400);
  CHECK_THAT(response.body, Catch::StartsWith("the limit of series is reached"));
  const auto all = fixture.All();
  CHECK(all.size() == 2);
  CHECK(all.at(Labels{{"__name__", "a"}}).size() == 2);
}

TEST_CASE("Content types and codings are told apart as upstream does") {
  struct Case {
    std::string type;
    std::string coding;
    int status;
  };
  const Case cases[] = {
      {"", "", 204},
      {"application/x-protobuf", "snappy", 204},
      {"application/x-protobuf", "Snappy", 204},
      {" application/x-protobuf;proto=prometheus.WriteRequest", "snappy", 204},
      {"application/x-protobuf; charset=utf-8", "snappy", 204},
      {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", 204},
      {"application/x-protobuf;proto=unknown.Message", "snappy", 415},
      {"application/x-protobuf;proto", "snappy", 415},
      {"application/json", "snappy", 415},
      {"application/x-protobuf", "lz4", 415},
  };
  for (const Case& c : cases) {
    INFO(c.type << " " << c.coding);
    RemoteFixture fixture;
    const http::ServerResponse response =
        fixture.Post("/api/v1/write", RemoteFixture::Snappy(""),
                     {{"Content-Type", c.type}, {"Content-Encoding", c.coding}});
    CHECK(response.status == c.status);
  }
}

TEST_CASE("What is not enabled or not accepted says so") {
  Endpoints::Options options;
  options.enable_write = false;
  options.enable_otlp = false;
  RemoteFixture off(options);
  CHECK(off.Write("").status == 404);
  CHECK(off.Write("").body ==
        "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n");
  CHECK(off.Post("/api/v1/otlp/v1/metrics", "{}", {{"Content-Type", "application/json"}}).status ==
        404);
  Endpoints::Options only_v1;
  only_v1.write_messages = {"prometheus.WriteRequest"};
  RemoteFixture fixture(only_v1);
  CHECK(fixture.Write("", kV1Type).status == 204);
  CHECK(fixture.Write("", kV2Type).status == 415);
}

TEST_CASE("Bytes that are no request are refused, and nothing of them is stored") {
  RemoteFixture fixture;
  CHECK(fixture.Post("/api/v1/write", "no snappy").status == 400);
  CHECK(fixture.Post("/api/v1/write", "no snappy").body == "snappy: corrupt input\n");
  // A length that claims a gigabyte.
  CHECK(fixture.Post("/api/v1/write", "\x80\x80\x80\x80\x04xx").status == 400);

  prometheus::WriteRequest request;
  for (int i = 0; i < 3; ++i) {
    AddSeries(&request, {{"__name__", StrCat("s", i)}, {"job", "x"}}, {{kNow, i}, {kNow + 1, 2}});
  }
  prometheus::Exemplar* const exemplar = request.mutable_timeseries(2)->add_exemplars();
  exemplar->set_timestamp(kNow);
  exemplar->add_labels()->set_name("trace_id");
  prometheus::Histogram* const histogram = request.mutable_timeseries(2)->add_histograms();
  histogram->set_timestamp(kNow + 2);
  histogram->add_positive_deltas(1);
  request.add_metadata()->set_help("h");
  const std::string whole = request.SerializeAsString();
  WriteV1Decoder decoder;
  WriteColumns columns;
  REQUIRE(decoder.Decode(whole, 1, &columns).ok());
  CHECK(columns.series.size() == 3);
  CHECK(columns.batch.histograms.size() == 1);
  CHECK(columns.batch.exemplars.size() == 1);
  CHECK(decoder.metadata().size() == 1);
  int refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    const absl::Status status =
        decoder.Decode(std::string_view(whole).substr(0, size), 1, &columns);
    if (!status.ok()) {
      ++refused;
      const std::string_view text = Message(status);
      INFO(text);
      CHECK((text.starts_with("timeseries[") || text.starts_with("metadata[")));
    }
  }
  // Only a cut between two series leaves a message.
  CHECK(refused == static_cast<int>(whole.size()) - 4);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x55);
    const absl::Status status = decoder.Decode(flipped, 1, &columns);
    for (const WriteColumns::Series& series : columns.series) {
      std::vector<LabelView> labels;
      decoder.MakeLabels(series.source, &labels);
    }
    CHECK((status.ok() || absl::IsInvalidArgument(status)));
  }
  CHECK(fixture.All().empty());
}

TEST_CASE("Errors name the field") {
  WriteV1Decoder decoder;
  WriteColumns columns;
  const auto error = [&](std::string_view message) {
    return std::string(Message(decoder.Decode(message, 1, &columns)));
  };
  prometheus::WriteRequest request;
  AddSeries(&request, kUp, {});
  const std::string good = request.SerializeAsString();
  using namespace std::string_literals;  // NOLINT: bytes with zeros.
  CHECK(error(good + "\x0a\x03\x12\x01\x09"s) ==
        "timeseries[1].samples[0]: the message is malformed");
  CHECK(error(good + "\x0a\x02\x10\x01"s) == "timeseries[1]: the message is malformed");
  CHECK(error("\x0a\x04\x22\x02\x70\x09"s) ==
        "timeseries[0].histograms[0]: reset_hint 9 is not known");
  CHECK(error("\x1a\x01\x0a"s) == "metadata[0]: the message is malformed");
}

TEST_CASE("Labels that are scattered over a message are those of one series") {
  prometheus::WriteRequest first;
  AddSeries(&first, {{"__name__", "up"}}, {{kNow, 1}});
  prometheus::TimeSeries rest;
  rest.add_labels()->set_name("job");
  rest.mutable_labels(0)->set_value("x");
  // Appended fields of a message are merged into it.
  const std::string body = first.timeseries(0).SerializeAsString() + rest.SerializeAsString();
  std::string message;
  message.push_back('\x0a');
  message.push_back(static_cast<char>(body.size()));
  message.append(body);
  RemoteFixture fixture;
  CHECK(fixture.Write(message).status == 204);
  CHECK(fixture.Write(Request(kUp, {{kNow + 1, 2}})).status == 204);
  CHECK(fixture.All() == RemoteFixture::SeriesMap{{kUpLabels, {{kNow, 1}, {kNow + 1, 2}}}});
}

TEST_CASE("Histograms are decoded whole and checked") {
  prometheus::WriteRequest request;
  prometheus::TimeSeries* const series = AddSeries(&request, kUp, {});
  prometheus::Histogram* const one = series->add_histograms();
  one->set_count_int(12);
  one->set_sum(3.5);
  one->set_schema(-1);
  one->set_zero_threshold(0.001);
  one->set_zero_count_int(2);
  one->add_positive_spans()->set_offset(-3);
  one->mutable_positive_spans(0)->set_length(2);
  one->add_positive_deltas(4);
  one->add_positive_deltas(-1);
  one->add_negative_spans()->set_length(1);
  one->add_negative_deltas(3);
  one->set_reset_hint(2);
  one->set_timestamp(kNow);
  prometheus::Histogram* const other = series->add_histograms();
  other->set_count_float(2.5);
  other->set_schema(-53);
  other->add_custom_values(1);
  other->add_positive_spans()->set_length(2);
  other->add_positive_counts(1.5);
  other->add_positive_counts(1);
  other->set_timestamp(kNow + 1);
  WriteV1Decoder decoder;
  WriteColumns columns;
  const std::string message = request.SerializeAsString();
  REQUIRE(decoder.Decode(message, 1, &columns).ok());
  REQUIRE(columns.batch.histograms.size() == 2);
  const Histogram& histogram = columns.batch.histograms[0].histogram;
  CHECK_FALSE(columns.batch.histograms[0].is_float);
  CHECK(histogram.count == 12);
  CHECK(histogram.sum == 3.5);
  CHECK(histogram.schema == -1);
  CHECK(histogram.zero_threshold == 0.001);
  CHECK(histogram.zero_count == 2);
  CHECK(histogram.positive_spans == std::vector<HistogramSpan>{{-3, 2}});
  CHECK(histogram.positive_deltas == std::vector<int64_t>{4, -1});
  CHECK(histogram.negative_deltas == std::vector<int64_t>{3});
  CHECK(histogram.reset_hint == CounterResetHint::kNotReset);
  const FloatHistogram& real = columns.batch.histograms[1].float_histogram;
  CHECK(columns.batch.histograms[1].is_float);
  CHECK(real.count == 2.5);
  CHECK(real.custom_values == std::vector<double>{1});
  CHECK(real.positive_buckets == std::vector<double>{1.5, 1});
  CHECK(columns.batch.timestamps == std::vector<Timestamp>{kNow, kNow + 1});

  RemoteFixture fixture;
  CHECK(fixture.Write(message).status == 204);
  // Buckets that are not those of the spans.
  one->add_positive_deltas(1);
  one->set_timestamp(kNow + 5);
  const http::ServerResponse refused = fixture.Write(request.SerializeAsString());
  CHECK(refused.status == 400);
  CHECK_THAT(refused.body, Catch::Contains("for series {__name__=\"up\", job=\"x\"}"));
}

TEST_CASE("A disk that fails is a 5xx, and nothing is stored") {
  RemoteFixture fixture;
  REQUIRE(fixture.Write(Request(kUp, {{kNow, 1}})).status == 204);
  fixture.fs.FailFrom(fixture.fs.operations() + 1, Unavailable("the disk is gone"));
  const std::string next = Request(kUp, {{kNow + 1, 2}});
  CHECK(fixture.Write(next).status / 100 == 5);
  CHECK(fixture.All().at(kUpLabels).size() == 1);
}

}  // namespace narthex::storage_remote
