#include <string>
#include <vector>

#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/chunkenc/chunk.h"
#include "lib/config/prometheus_config.h"
#include "prometheus/remote.pb.h"
#include "tests/unit/services/storage/remote/remote_fixture.h"

namespace narthex::storage_remote {
namespace {

void Fill(RemoteFixture* fixture, int series, int samples) {
  prometheus::WriteRequest request;
  for (int s = 0; s < series; ++s) {
    prometheus::TimeSeries* const one = request.add_timeseries();
    const std::pair<std::string, std::string> labels[] = {
        {"__name__", "m"}, {"series", StrCat(s)}, {"parity", StrCat(s % 2)}};
    for (const auto& [name, value] : labels) {
      prometheus::Label* const label = one->add_labels();
      label->set_name(name);
      label->set_value(value);
    }
    for (int i = 0; i < samples; ++i) {
      one->add_samples()->set_timestamp(kNow - (samples - i) * 15'000);
      one->mutable_samples(i)->set_value(s + i * 0.5);
    }
  }
  REQUIRE(fixture->Write(request.SerializeAsString()).status == 204);
}

prometheus::ReadRequest Request(int type, const std::string& name, const std::string& value,
                                std::vector<int> accepted) {
  prometheus::ReadRequest request;
  prometheus::Query* const query = request.add_queries();
  query->set_start_timestamp_ms(0);
  query->set_end_timestamp_ms(kNow);
  query->add_matchers()->set_type(type);
  query->mutable_matchers(0)->set_name(name);
  query->mutable_matchers(0)->set_value(value);
  for (const int one : accepted) request.add_accepted_response_types(one);
  return request;
}

http::ServerResponse Read(RemoteFixture* fixture, const prometheus::ReadRequest& request) {
  return fixture->Post("/api/v1/read", RemoteFixture::Snappy(request.SerializeAsString()));
}

prometheus::ReadResponse Samples(const http::ServerResponse& response) {
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/x-protobuf");
  CHECK(response.headers.Get("Content-Encoding") == "snappy");
  std::string buffer;
  std::string_view message;
  REQUIRE(SnappyUncompress(response.body, size_t{1} << 30, &buffer, &message).ok());
  prometheus::ReadResponse read;
  REQUIRE(read.ParseFromArray(message.data(), static_cast<int>(message.size())));
  return read;
}

std::vector<prometheus::ChunkedReadResponse> Frames(const http::ServerResponse& response) {
  CHECK(response.status == 200);
  CHECK(response.content_type ==
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
  const std::string all = RemoteFixture::Streamed(response);
  std::vector<prometheus::ChunkedReadResponse> frames;
  ByteReader reader(all);
  while (!reader.done()) {
    uint64_t size;
    uint32_t checksum;
    std::string_view message;
    REQUIRE(reader.ReadUvarint(&size));
    REQUIRE(reader.ReadBig(&checksum));
    REQUIRE(reader.ReadBytes(static_cast<size_t>(size), &message));
    REQUIRE(Crc32c(message) == checksum);
    REQUIRE(frames.emplace_back().ParseFromArray(message.data(), static_cast<int>(message.size())));
  }
  return frames;
}

std::string LabelText(const google::protobuf::RepeatedPtrField<prometheus::Label>& labels) {
  std::string text;
  for (const prometheus::Label& label : labels) {
    StrAppend(&text, label.name(), "=", label.value(), " ");
  }
  return text;
}

}  // namespace

TEST_CASE("Both kinds of answer to a remote read bring the same samples") {
  RemoteFixture fixture;
  Fill(&fixture, 7, 300);
  prometheus::ReadRequest request = Request(2, "series", "[0-4]", {});
  request.mutable_queries(0)->set_start_timestamp_ms(kNow - 290 * 15'000);
  request.mutable_queries(0)->set_end_timestamp_ms(kNow - 10 * 15'000);
  const prometheus::ReadResponse samples = Samples(Read(&fixture, request));
  REQUIRE(samples.results_size() == 1);
  REQUIRE(samples.results(0).timeseries_size() == 5);

  request.add_accepted_response_types(7);
  request.add_accepted_response_types(1);
  request.add_accepted_response_types(0);
  std::map<std::string, std::vector<std::pair<Timestamp, double>>> streamed;
  std::string previous;
  for (const prometheus::ChunkedReadResponse& frame : Frames(Read(&fixture, request))) {
    CHECK(frame.query_index() == 0);
    REQUIRE(frame.chunked_series_size() == 1);
    const std::string labels = LabelText(frame.chunked_series(0).labels());
    CHECK(previous < labels);
    previous = labels;
    for (const prometheus::Chunk& chunk : frame.chunked_series(0).chunks()) {
      REQUIRE(chunk.type() == 1);
      SampleBuffer decoded;
      REQUIRE(chunkenc::DecodeChunk(chunkenc::Encoding::kXor, chunk.data(), 1000, kMinTimestamp,
                                    kMaxTimestamp, &decoded)
                  .ok());
      CHECK(decoded.size() <= 120);
      CHECK(chunk.min_time_ms() == decoded.timestamps().front());
      CHECK(chunk.max_time_ms() == decoded.timestamps().back());
      for (size_t i = 0; i < decoded.size(); ++i) {
        streamed[labels].emplace_back(decoded.timestamps()[i], decoded.values()[i]);
      }
    }
  }
  CHECK(streamed.size() == 5);
  for (const prometheus::TimeSeries& series : samples.results(0).timeseries()) {
    std::vector<std::pair<Timestamp, double>> expected;
    for (const prometheus::Sample& sample : series.samples()) {
      expected.emplace_back(sample.timestamp(), sample.value());
    }
    CHECK(expected.size() == 281);
    CHECK(streamed[LabelText(series.labels())] == expected);
  }
}

TEST_CASE("Histograms that were written are read as they were, in both kinds of answer") {
  RemoteFixture fixture;
  prometheus::WriteRequest request;
  prometheus::TimeSeries* const series = request.add_timeseries();
  series->add_labels()->set_name("__name__");
  series->mutable_labels(0)->set_value("h");
  for (int i = 0; i < 200; ++i) {
    prometheus::Histogram* const one = series->add_histograms();
    one->set_timestamp(kNow - (200 - i) * 15'000);
    const bool is_float = i >= 150;
    if (is_float) {
      one->set_count_float(2.5 * i);
      one->set_zero_count_float(0.5 * i);
      for (const double part : {1.5, 0.5}) one->add_positive_counts(part * i);
    } else {
      one->set_count_int(static_cast<uint64_t>(4 * i));
      one->set_zero_count_int(static_cast<uint64_t>(i));
      one->add_positive_deltas(i);
      one->add_positive_deltas(i);
    }
    one->set_sum(i * 0.25);
    one->set_schema(i < 100 ? 2 : 1);
    one->set_zero_threshold(0.001);
    one->add_positive_spans()->set_offset(-1);
    one->mutable_positive_spans(0)->set_length(2);
  }
  REQUIRE(fixture.Write(request.SerializeAsString()).status == 204);
  const auto read = Samples(Read(&fixture, Request(0, "__name__", "h", {})));
  REQUIRE(read.results(0).timeseries_size() == 1);
  REQUIRE(read.results(0).timeseries(0).histograms_size() == 200);
  for (int i = 0; i < 200; ++i) {
    INFO(i);
    prometheus::Histogram got = read.results(0).timeseries(0).histograms(i);
    got.set_reset_hint(0);  // The head's own finding.
    CHECK(got.SerializeAsString() == series->histograms(i).SerializeAsString());
  }
  int samples = 0;
  for (const auto& frame : Frames(Read(&fixture, Request(0, "__name__", "h", {1})))) {
    for (const prometheus::Chunk& chunk : frame.chunked_series(0).chunks()) {
      CHECK((chunk.type() == 2 || chunk.type() == 3));
      SampleBuffer decoded;
      REQUIRE(chunkenc::DecodeChunk(static_cast<chunkenc::Encoding>(chunk.type()), chunk.data(),
                                    1000, kMinTimestamp, kMaxTimestamp, &decoded)
                  .ok());
      for (size_t i = 0; i < decoded.size(); ++i, ++samples) {
        CHECK(decoded.timestamps()[i] == series->histograms(samples).timestamp());
        CHECK(decoded.values()[i] == series->histograms(samples).sum());
      }
    }
  }
  CHECK(samples == 200);
}

TEST_CASE("A series of many chunks is cut into frames of the bound") {
  Endpoints::Options options;
  options.read_frame_bytes_max = 2000;
  RemoteFixture fixture(options);
  Fill(&fixture, 1, 3000);
  size_t chunks = 0;
  const auto frames = Frames(Read(&fixture, Request(0, "__name__", "m", {1})));
  for (const auto& frame : frames) {
    chunks += static_cast<size_t>(frame.chunked_series(0).chunks_size());
    CHECK(frame.ByteSizeLong() < 3500);
  }
  CHECK(chunks == 25);
  CHECK(frames.size() >= 3);
}

TEST_CASE("External labels are added to answers and taken out of matchers") {
  RemoteFixture fixture;
  Fill(&fixture, 2, 1);
  config::PrometheusConfig config;
  config.global.external_labels = Labels{{"node", "a"}, {"parity", "hidden"}};
  fixture.endpoints->Apply(config);
  for (const auto& [value, found] : std::vector<std::pair<std::string, int>>{{"a", 2}, {"b", 0}}) {
    const auto read = Samples(Read(&fixture, Request(0, "node", value, {})));
    REQUIRE(read.results(0).timeseries_size() == found);
    for (const prometheus::TimeSeries& series : read.results(0).timeseries()) {
      CHECK_THAT(LabelText(series.labels()),
                 Catch::Contains("node=a parity=") && !Catch::Contains("hidden"));
    }
  }
}

TEST_CASE("Remote reads that cannot be answered say why") {
  Endpoints::Options options;
  options.read_samples_max = 50;
  RemoteFixture fixture(options);
  Fill(&fixture, 6, 10);
  struct Case {
    prometheus::ReadRequest request;
    int status;
    std::string text;
  };
  const Case cases[] = {
      {Request(0, "__name__", "m", {}), 400, "exceeded sample limit (50)"},
      {Request(2, "a", "(", {}), 400, "queries[0]: matchers[0]: "},
      {Request(9, "a", "x", {}), 400, "queries[0]: matchers[0]: matcher type 9 is not known"},
      {Request(0, "a", "x", {5}), 400,
       "server does not support any of the requested response types"},
  };
  for (const Case& c : cases) {
    const http::ServerResponse response = Read(&fixture, c.request);
    CHECK(response.status == c.status);
    CHECK_THAT(response.body, Catch::StartsWith(c.text));
  }
  CHECK(fixture.Post("/api/v1/read", "x").status == 400);
  CHECK(fixture.Post("/api/v1/read", RemoteFixture::Snappy("\x0a\x05")).status == 400);
  CHECK(Frames(Read(&fixture, Request(0, "__name__", "none", {1}))).empty());
  CHECK(Samples(Read(&fixture, prometheus::ReadRequest())).results_size() == 0);
}

}  // namespace narthex::storage_remote
