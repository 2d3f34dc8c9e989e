#include <string>
#include <vector>

#include "prometheus/write_v2.pb.h"
#include "services/storage/remote/write_v2.h"
#include "tests/unit/services/storage/remote/remote_fixture.h"

namespace narthex::storage_remote {
namespace {

namespace v2 = ::io::prometheus::write::v2;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// Builds a request and its symbols.
class RequestBuilder {
 public:
  RequestBuilder() { request.add_symbols(""); }
  uint32_t Ref(const std::string& text) {
    for (int i = 0; i < request.symbols_size(); ++i) {
      if (request.symbols(i) == text) return static_cast<uint32_t>(i);
    }
    request.add_symbols(text);
    return static_cast<uint32_t>(request.symbols_size() - 1);
  }
  v2::TimeSeries* Add(const Pairs& labels) {
    v2::TimeSeries* const series = request.add_timeseries();
    for (const auto& [name, value] : labels) {
      series->add_labels_refs(Ref(name));
      series->add_labels_refs(Ref(value));
    }
    return series;
  }
  v2::TimeSeries* Add(const Pairs& labels, Timestamp timestamp, double value) {
    v2::TimeSeries* const series = Add(labels);
    v2::Sample* const sample = series->add_samples();
    sample->set_timestamp(timestamp);
    sample->set_value(value);
    return series;
  }
  v2::Request request;
};

std::string Written(const http::ServerResponse& response) {
  return StrCat(response.headers.Get("X-Prometheus-Remote-Write-Samples-Written"), " ",
                response.headers.Get("X-Prometheus-Remote-Write-Histograms-Written"), " ",
                response.headers.Get("X-Prometheus-Remote-Write-Exemplars-Written"));
}

}  // namespace

TEST_CASE("A 2.0 request is stored, and the answer counts what was written") {
  RemoteFixture fixture;
  RequestBuilder builder;
  v2::TimeSeries* const up = builder.Add({{"__name__", "up"}, {"job", "x"}}, kNow, 1);
  up->mutable_samples(0)->set_start_timestamp(kNow - 1000);
  up->mutable_metadata()->set_type(2);
  up->mutable_metadata()->set_help_ref(builder.Ref("Whether it is up."));
  v2::Exemplar* const exemplar = up->add_exemplars();
  exemplar->add_labels_refs(builder.Ref("trace_id"));
  exemplar->add_labels_refs(builder.Ref("abc"));
  exemplar->set_timestamp(kNow);
  v2::TimeSeries* const sizes = builder.Add({{"__name__", "sizes"}});
  prometheus::Histogram* const histogram = sizes->add_histograms();
  histogram->set_count_int(3);
  histogram->add_positive_spans()->set_length(1);
  histogram->add_positive_deltas(3);
  histogram->set_timestamp(kNow);
  const http::ServerResponse response = fixture.Write(builder.request.SerializeAsString(), kV2Type);
  INFO(response.body);
  CHECK(response.status == 204);
  CHECK(Written(response) == "1 1 1");
  const auto all = fixture.All();
  CHECK(all.at(Labels{{"__name__", "up"}, {"job", "x"}}).size() == 1);
  CHECK(all.at(Labels{{"__name__", "sizes"}}).size() == 1);
}

TEST_CASE("Exemplars that are refused are not counted, and late ones are said") {
  tsdb::DbOptions options;
  options.head.exemplars_max = 100;
  RemoteFixture fixture({}, options);
  const auto write = [&fixture](Timestamp timestamp, Timestamp sample_time,
                                const std::string& trace) {
    RequestBuilder builder;
    v2::TimeSeries* const series = builder.Add({{"__name__", "up"}}, sample_time, 1);
    v2::Exemplar* const exemplar = series->add_exemplars();
    exemplar->add_labels_refs(builder.Ref("trace_id"));
    exemplar->add_labels_refs(builder.Ref(trace));
    exemplar->set_timestamp(timestamp);
    return fixture.Write(builder.request.SerializeAsString(), kV2Type);
  };
  struct Case {
    Timestamp timestamp;
    Timestamp sample_time;
    std::string trace;
    int status;
    std::string written;
    std::string problem;
  };
  const std::vector<Case> cases = {
      {kNow, kNow, "a", 204, "1 0 1", ""},
      // The same once more is as good as stored.
      {kNow, kNow + 1, "a", 204, "1 0 1", ""},
      {kNow - 1, kNow + 2, "b", 400, "1 0 0", "out of order exemplar for series {__name__=\"up\"}"},
      // Too long; upstream passes over it.
      {kNow + 2, kNow + 3, std::string(200, 'x'), 204, "1 0 0", ""},
      {kNow + 3, kNow + 4, "c", 204, "1 0 1", ""},
  };
  for (const Case& one : cases) {
    const http::ServerResponse response = write(one.timestamp, one.sample_time, one.trace);
    INFO(one.trace << ": " << response.body);
    CHECK(response.status == one.status);
    CHECK(Written(response) == one.written);
    CHECK_THAT(response.body, Catch::Contains(one.problem));
  }
  fixture.db->head().exemplars().Resize(0);
  CHECK(Written(write(kNow + 5, kNow + 5, "d")) == "1 0 1");
}

TEST_CASE("Requests that number their symbols otherwise write the same series") {
  RemoteFixture fixture;
  for (int i = 0; i < 3; ++i) {
    RequestBuilder builder;
    for (int k = 0; k < i; ++k) builder.Ref(StrCat("other", k));
    builder.Add({{"__name__", "up"}, {"job", "x"}}, kNow + i, i);
    CHECK(fixture.Write(builder.request.SerializeAsString(), kV2Type).status == 204);
  }
  CHECK(fixture.All().size() == 1);
  CHECK(fixture.All().begin()->second.size() == 3);
}

TEST_CASE("Of 2.0 what is bad is refused alone, and the rest is written and counted") {
  RemoteFixture fixture;
  RequestBuilder first;
  first.Add({{"__name__", "old"}}, kNow, 1);
  REQUIRE(fixture.Write(first.request.SerializeAsString(), kV2Type).status == 204);
  RequestBuilder builder;
  builder.Add({{"__name__", "good"}}, kNow, 1);
  builder.Add({{"__name__", "old"}}, kNow - 1, 1);
  builder.Add({{"__name__", "old"}}, kNow, 7);
  builder.Add({{"__name__", "ahead"}}, kNow + 3'600'000, 1);
  builder.Add({{"job", "nameless"}}, kNow, 1);
  builder.Add({{"__name__", "twice"}, {"a", "1"}, {"a", "2"}}, kNow, 1);
  builder.Add({{"__name__", "empty"}});
  builder.Add({{"__name__", "odd"}}, kNow, 1)->add_labels_refs(1);
  builder.Add({{"__name__", "outside"}}, kNow, 1)->set_labels_refs(1, 1000);
  v2::TimeSeries* const both = builder.Add({{"__name__", "both"}}, kNow, 1);
  both->add_histograms()->set_timestamp(kNow);
  v2::TimeSeries* const broken = builder.Add({{"__name__", "broken"}});
  broken->add_histograms()->set_timestamp(kNow);
  broken->mutable_histograms(0)->add_positive_deltas(1);
  builder.Add({{"__name__", "last"}}, kNow, 2);
  const http::ServerResponse response = fixture.Write(builder.request.SerializeAsString(), kV2Type);
  CHECK(response.status == 400);
  CHECK(Written(response) == "2 0 0");
  for (const char* text :
       {"out of order sample for series {__name__=\"old\"}",
        "duplicate sample for timestamp for series {__name__=\"old\"}",
        "out of bounds for series {__name__=\"ahead\"}",
        "invalid metric name or labels, got {job=\"nameless\"}", "a label name twice",
        "TimeSeries must contain at least one sample or histogram for series {__name__=\"empty\"}",
        "malformed labels", "either samples or histograms", "for series {__name__=\"broken\"}"}) {
    CHECK_THAT(response.body, Catch::Contains(text));
  }
  const auto all = fixture.All();
  CHECK(all.size() == 3);
  CHECK(all.count(Labels{{"__name__", "last"}}) == 1);
}

TEST_CASE("Every truncation and flipped byte of a 2.0 request ends in a verdict") {
  RequestBuilder builder;
  for (int i = 0; i < 3; ++i) {
    v2::TimeSeries* const series = builder.Add({{"__name__", StrCat("s", i)}}, kNow, i);
    series->add_exemplars()->add_labels_refs(0);
    series->mutable_metadata()->set_help_ref(1);
  }
  builder.Add({{"__name__", "h"}})->add_histograms()->add_negative_counts(1);
  const std::string whole = builder.request.SerializeAsString();
  WriteV2Decoder decoder;
  WriteColumns columns;
  REQUIRE(decoder.Decode(whole, 1, &columns).ok());
  CHECK(columns.series.size() == 4);
  const auto check = [&](std::string_view message) {
    const absl::Status status = decoder.Decode(message, 1, &columns);
    CHECK((status.ok() || absl::IsInvalidArgument(status)));
    for (const WriteColumns::Series& series : columns.series) {
      std::vector<LabelView> labels;
      decoder.MakeLabels(series.source, &labels);
    }
  };
  for (size_t at = 0; at < whole.size(); ++at) {
    check(std::string_view(whole).substr(0, at));
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x2b);
    check(flipped);
  }
}

}  // namespace narthex::storage_remote
