#include <google/protobuf/util/json_util.h>

#include <string>
#include <vector>

#include "lib/model/stale.h"
#include "opentelemetry/metrics.pb.h"
#include "services/storage/remote/otlp/delta_state.h"
#include "services/storage/remote/otlp/native_histogram.h"
#include "tests/unit/services/storage/remote/remote_fixture.h"

namespace narthex::otlp {
namespace {

namespace pb = ::opentelemetry::proto::metrics::v1;
using storage_remote::Endpoints;
using storage_remote::kNow;
using storage_remote::RemoteFixture;

constexpr uint64_t kNowNs = static_cast<uint64_t>(kNow) * 1'000'000;

void SetText(pb::KeyValue* pair, const std::string& key, const std::string& value) {
  pair->set_key(key);
  pair->mutable_value()->set_string_value(value);
}

// One resource and scope, to which tests add metrics.
struct Export {
  Export() {
    pb::ResourceMetrics* const resource = request.add_resource_metrics();
    for (const auto& [key, value] :
         std::vector<std::pair<std::string, std::string>>{{"service.namespace", "shop"},
                                                          {"service.name", "cart"},
                                                          {"service.instance.id", "i1"},
                                                          {"host.name", "h1"}}) {
      SetText(resource->mutable_resource()->add_attributes(), key, value);
    }
    scope = resource->add_scope_metrics();
  }
  pb::Metric* Add(const std::string& name) {
    pb::Metric* const metric = scope->add_metrics();
    metric->set_name(name);
    return metric;
  }
  pb::NumberDataPoint* AddSum(const std::string& name, int temporality, uint64_t time_ns,
                              int64_t value) {
    pb::Sum* const sum = Add(name)->mutable_sum();
    sum->set_aggregation_temporality(temporality);
    sum->set_is_monotonic(true);
    pb::NumberDataPoint* const point = sum->add_data_points();
    point->set_time_unix_nano(time_ns);
    point->set_as_int(value);
    return point;
  }
  std::string Json() const {
    std::string json;
    REQUIRE(google::protobuf::util::MessageToJsonString(request, &json).ok());
    return json;
  }

  pb::ExportMetricsServiceRequest request;
  pb::ScopeMetrics* scope = nullptr;
};

http::ServerResponse Post(RemoteFixture* fixture, const Export& request) {
  return fixture->Post("/api/v1/otlp/v1/metrics", request.request.SerializeAsString(),
                       {{"Content-Type", "application/x-protobuf"}});
}
http::ServerResponse PostJson(RemoteFixture* fixture, const std::string& json) {
  return fixture->Post("/api/v1/otlp/v1/metrics", json, {{"Content-Type", "application/json"}});
}

std::map<std::string, double> Newest(RemoteFixture* fixture) {
  std::map<std::string, double> newest;
  for (const auto& [labels, samples] : fixture->All()) {
    newest[labels.ToString()] = samples.back().second;
  }
  return newest;
}

// One metric of each kind.
Export AllKinds() {
  Export all;
  pb::NumberDataPoint* const sum = all.AddSum("http.requests", 2, kNowNs, 7);
  SetText(sum->add_attributes(), "http.method", "GET");
  sum->add_attributes()->set_key("n");
  sum->mutable_attributes(1)->mutable_value()->set_int_value(5);
  pb::Exemplar* const exemplar = sum->add_exemplars();
  exemplar->set_time_unix_nano(kNowNs);
  exemplar->set_as_double(1.5);
  pb::Metric* const temperature = all.Add("temp");
  temperature->set_unit("Cel");
  temperature->mutable_gauge()->add_data_points()->set_time_unix_nano(kNowNs);
  temperature->mutable_gauge()->mutable_data_points(0)->set_as_double(21.5);
  pb::Metric* const latency = all.Add("lat");
  latency->set_unit("ms");
  latency->mutable_histogram()->set_aggregation_temporality(2);
  pb::HistogramDataPoint* const point = latency->mutable_histogram()->add_data_points();
  point->set_time_unix_nano(kNowNs);
  point->set_count(6);
  point->set_sum(20);
  for (const uint64_t count : {1, 2, 3}) point->add_bucket_counts(count);
  point->add_explicit_bounds(0.5);
  point->add_explicit_bounds(10);
  pb::SummaryDataPoint* const summary = all.Add("sizes")->mutable_summary()->add_data_points();
  summary->set_time_unix_nano(kNowNs);
  summary->set_count(2);
  summary->set_sum(3);
  summary->add_quantile_values()->set_quantile(0.5);
  summary->mutable_quantile_values(0)->set_value(1);
  return all;
}

const std::map<std::string, double> kAllKinds = {
    {R"({__name__="http_requests_total", http_method="GET", instance="i1", job="shop/cart", n="5"})",
     7},
    {R"({__name__="temp_celsius", instance="i1", job="shop/cart"})", 21.5},
    {R"({__name__="lat_milliseconds_bucket", instance="i1", job="shop/cart", le="0.5"})", 1},
    {R"({__name__="lat_milliseconds_bucket", instance="i1", job="shop/cart", le="10"})", 3},
    {R"({__name__="lat_milliseconds_bucket", instance="i1", job="shop/cart", le="+Inf"})", 6},
    {R"({__name__="lat_milliseconds_count", instance="i1", job="shop/cart"})", 6},
    {R"({__name__="lat_milliseconds_sum", instance="i1", job="shop/cart"})", 20},
    {R"({__name__="sizes", instance="i1", job="shop/cart", quantile="0.5"})", 1},
    {R"({__name__="sizes_count", instance="i1", job="shop/cart"})", 2},
    {R"({__name__="sizes_sum", instance="i1", job="shop/cart"})", 3},
    {R"({__name__="target_info", host_name="h1", instance="i1", job="shop/cart"})", 1},
};

}  // namespace

TEST_CASE("Metrics of every kind are stored, from both encodings alike") {
  const Export all = AllKinds();
  RemoteFixture protobuf;
  const http::ServerResponse response = Post(&protobuf, all);
  CHECK(response.status == 200);
  CHECK(response.body.empty());
  CHECK(response.content_type == "application/x-protobuf");
  CHECK(Newest(&protobuf) == kAllKinds);
  RemoteFixture json;
  const http::ServerResponse answer = PostJson(&json, all.Json());
  CHECK(answer.status == 200);
  CHECK(answer.body == "{}");
  CHECK(answer.content_type == "application/json");
  CHECK(Newest(&json) == kAllKinds);
}

TEST_CASE("The settings change names, labels and histograms") {
  struct Case {
    std::string name;
    void (*change)(config::OtlpConfig*);
    std::vector<std::string> there;
  };
  const Case cases[] = {
      {"no suffixes",
       [](config::OtlpConfig* c) { c->translation_strategy = "UnderscoreEscapingWithoutSuffixes"; },
       {R"({__name__="http_requests", http_method="GET", instance="i1", job="shop/cart", n="5"})",
        R"({__name__="temp", instance="i1", job="shop/cart"})"}},
      {"UTF-8 and suffixes",
       [](config::OtlpConfig* c) { c->translation_strategy = "NoUTF8EscapingWithSuffixes"; },
       {R"({"__name__"="http.requests_total", "http.method"="GET", instance="i1", job="shop/cart", n="5"})",
        R"({__name__="target_info", "host.name"="h1", instance="i1", job="shop/cart"})"}},
      {"as it is",
       [](config::OtlpConfig* c) { c->translation_strategy = "NoTranslation"; },
       {R"({__name__="http.requests", "http.method"="GET", instance="i1", job="shop/cart", n="5"})"}},
      {"promoted",
       [](config::OtlpConfig* c) { c->promote_resource_attributes = {"host.name"}; },
       {R"({__name__="temp_celsius", host_name="h1", instance="i1", job="shop/cart"})"}},
      {"all promoted but one",
       [](config::OtlpConfig* c) {
         c->promote_all_resource_attributes = true;
         c->ignore_resource_attributes = {"host.name"};
       },
       {R"({__name__="temp_celsius", instance="i1", job="shop/cart", service_instance_id="i1", service_name="cart", service_namespace="shop"})"}},
      {"identity kept",
       [](config::OtlpConfig* c) { c->keep_identifying_resource_attributes = true; },
       {R"({__name__="target_info", host_name="h1", instance="i1", job="shop/cart", service_instance_id="i1", service_name="cart", service_namespace="shop"})"}},
      {"scope",
       [](config::OtlpConfig* c) { c->promote_scope_metadata = true; },
       {R"({__name__="temp_celsius", instance="i1", job="shop/cart", otel_scope_lang="go", otel_scope_name="lib", otel_scope_version="2"})"}},
      {"custom buckets",
       [](config::OtlpConfig* c) { c->convert_histograms_to_nhcb = true; },
       {R"({__name__="lat_milliseconds", instance="i1", job="shop/cart"})"}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    RemoteFixture fixture;
    config::PrometheusConfig config;
    c.change(&config.otlp);
    fixture.endpoints->Apply(config);
    Export all = AllKinds();
    all.scope->mutable_scope()->set_name("lib");
    all.scope->mutable_scope()->set_version("2");
    SetText(all.scope->mutable_scope()->add_attributes(), "lang", "go");
    CHECK(Post(&fixture, all).status == 200);
    const auto newest = Newest(&fixture);
    for (const std::string& series : c.there) {
      std::string names;
      for (const auto& [name, value] : newest) StrAppend(&names, name, "\n");
      INFO(names);
      std::string wanted = series;
      if (wanted.starts_with("{\"__name__\"=")) wanted = "{__name__=" + wanted.substr(12);
      CHECK(newest.count(wanted) == 1);
    }
  }
}

TEST_CASE("Keys that become one label are joined in the order of the keys") {
  RemoteFixture fixture;
  Export one;
  pb::NumberDataPoint* const point = one.AddSum("x", 2, kNowNs, 1);
  SetText(point->add_attributes(), "a_b", "second");
  SetText(point->add_attributes(), "a.b", "first");
  SetText(point->add_attributes(), "job", "not this");
  CHECK(Post(&fixture, one).status == 200);
  CHECK(Newest(&fixture).count(
            R"({__name__="x_total", a_b="first;second", instance="i1", job="shop/cart"})") == 1);
}

TEST_CASE("Attribute values of all kinds are text") {
  RemoteFixture fixture;
  Export one;
  pb::NumberDataPoint* const point = one.AddSum("x", 2, kNowNs, 1);
  const auto add = [&](const std::string& key) {
    point->add_attributes()->set_key(key);
    return point->mutable_attributes(point->attributes_size() - 1)->mutable_value();
  };
  add("bool")->set_bool_value(true);
  add("int")->set_int_value(-5);
  add("real")->set_double_value(1e-7);
  add("bytes")->set_bytes_value("\x01\xff\x02\x03");
  pb::AnyValue* const list = add("list");
  list->mutable_array_value()->add_values()->set_string_value("a\"b");
  list->mutable_array_value()->add_values()->set_int_value(2);
  pb::KeyValueList* const map = add("map")->mutable_kvlist_value();
  map->add_values()->set_key("z");
  map->mutable_values(0)->mutable_value()->set_double_value(1);
  map->add_values()->set_key("a");
  const std::string expected =
      R"({__name__="x_total", bool="true", bytes="Af8CAw==", instance="i1", int="-5", job="shop/cart", list="[\"a\\\"b\",2]", map="{\"a\":null,\"z\":1}", real="1e-7"})";
  CHECK(Post(&fixture, one).status == 200);
  CHECK(Newest(&fixture).count(expected) == 1);
  RemoteFixture json;
  CHECK(PostJson(&json, one.Json()).status == 200);
  CHECK(Newest(&json).count(expected) == 1);
}

TEST_CASE("A point without a recorded value is a staleness marker") {
  RemoteFixture fixture;
  Export one;
  one.AddSum("x", 2, kNowNs, 1)->set_flags(1);
  CHECK(Post(&fixture, one).status == 200);
  CHECK(IsStale(Newest(&fixture)[R"({__name__="x_total", instance="i1", job="shop/cart"})"]));
}

TEST_CASE("target_info covers the time between the points of its resource, within a bound") {
  RemoteFixture fixture;
  Export one;
  one.AddSum("x", 2, kNowNs - uint64_t{400} * 1'000'000'000, 1);
  one.AddSum("y", 2, kNowNs, 1);
  CHECK(Post(&fixture, one).status == 200);
  const Labels info{
      {"__name__", "target_info"}, {"host_name", "h1"}, {"instance", "i1"}, {"job", "shop/cart"}};
  std::vector<Timestamp> times;
  const RemoteFixture::SeriesMap all = fixture.All();
  for (const auto& [timestamp, value] : all.at(info)) times.push_back(timestamp);
  CHECK(times == std::vector<Timestamp>{kNow - 400'000, kNow - 250'000, kNow - 100'000, kNow});
  RemoteFixture hostile;
  Export ages;
  ages.AddSum("x", 2, 1, 1);
  ages.AddSum("y", 2, kNowNs, 1);
  CHECK(Post(&hostile, ages).status == 200);
  CHECK(hostile.All().at(info).size() == 1152);
}

TEST_CASE("What has no place in Prometheus is told as a partial success") {
  RemoteFixture fixture;
  Export one;
  one.AddSum("delta", 1, kNowNs, 1);
  one.AddSum("unsaid", 0, kNowNs, 1);
  one.Add("...")->mutable_gauge()->add_data_points()->set_time_unix_nano(kNowNs);
  one.AddSum("good", 2, kNowNs, 1);
  pb::ExponentialHistogram* const coarse = one.Add("coarse")->mutable_exponential_histogram();
  coarse->set_aggregation_temporality(2);
  coarse->add_data_points()->set_scale(-5);
  coarse->mutable_data_points(0)->set_time_unix_nano(kNowNs);
  const http::ServerResponse response = Post(&fixture, one);
  CHECK(response.status == 200);
  pb::ExportMetricsServiceResponse answer;
  REQUIRE(answer.ParseFromString(response.body));
  CHECK(answer.partial_success().rejected_data_points() == 4);
  for (const char* text : {"metric \"delta\"", "metric \"unsaid\"", "resulted in empty name",
                           "Scale must be >= -4, was -5"}) {
    CHECK_THAT(answer.partial_success().error_message(), Catch::Contains(text));
  }
  CHECK(fixture.All().size() == 2);
  CHECK_THAT(PostJson(&fixture, one.Json()).body, Catch::Contains("\"rejectedDataPoints\":\"4\""));
}

TEST_CASE("What the head refuses is a 400 with a status, and the rest is stored") {
  RemoteFixture fixture;
  Export first;
  first.AddSum("x", 2, kNowNs, 1);
  REQUIRE(Post(&fixture, first).status == 200);
  Export second;
  second.AddSum("x", 2, kNowNs, 2);
  second.AddSum("y", 2, kNowNs, 2);
  const http::ServerResponse response = Post(&fixture, second);
  CHECK(response.status == 400);
  pb::Status status;
  REQUIRE(status.ParseFromString(response.body));
  CHECK(status.code() == 3);
  CHECK_THAT(status.message(), Catch::StartsWith("duplicate sample for timestamp for series"));
  CHECK(fixture.All().size() == 3);
}

TEST_CASE("Bodies that are no export are refused with their field") {
  RemoteFixture fixture;
  struct Case {
    std::string body;
    std::string text;
  };
  const Case cases[] = {
      {"{", "\"code\":3"},
      {"[]", "an object is wanted"},
      {R"({"resourceMetrics":{}})", "resourceMetrics: a list is wanted"},
      {R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":5}]}]}]})",
       "resourceMetrics[0]: scopeMetrics[0]: metrics[0]: name: a string is wanted"},
      {R"({"resource_metrics":[{"scope_metrics":[{"metrics":[{"gauge":{"dataPoints":[{"timeUnixNano":"-1"}]}}]}]}]})",
       "dataPoints[0]: timeUnixNano: an unsigned integer is wanted"},
      {R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":["x"]}]}}]}]}]})",
       "bucketCounts[0]: an unsigned integer is wanted"},
  };
  for (const Case& c : cases) {
    INFO(c.body);
    const http::ServerResponse response = PostJson(&fixture, c.body);
    CHECK(response.status == 400);
    CHECK_THAT(response.body, Catch::Contains(c.text));
  }
  CHECK(fixture.Post("/api/v1/otlp/v1/metrics", "", {{"Content-Type", "text/plain"}}).status ==
        415);
  CHECK(fixture
            .Post("/api/v1/otlp/v1/metrics", "",
                  {{"Content-Type", "application/x-protobuf"}, {"Content-Encoding", "snappy"}})
            .status == 415);
  const std::string whole = AllKinds().request.SerializeAsString();
  Request request;
  REQUIRE(DecodeProtobuf(whole, &request).ok());
  for (size_t at = 0; at < whole.size(); ++at) {
    CHECK_FALSE(DecodeProtobuf(std::string_view(whole).substr(0, at + 1), &request).ok() ==
                (at + 1 < whole.size()));
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x47);
    const absl::Status status = DecodeProtobuf(flipped, &request);
    CHECK((status.ok() || absl::IsInvalidArgument(status)));
  }
}

TEST_CASE("Exponential histograms become native ones") {
  struct Case {
    std::string name;
    int32_t scale;
    int32_t offset;
    std::vector<uint64_t> counts;
    int32_t schema;
    std::vector<HistogramSpan> spans;
    std::vector<int64_t> deltas;
  };
  const Case cases[] = {
      {"moved by one", 1, 2, {4, 3, 2, 1}, 1, {{3, 4}}, {4, -1, -1, -1}},
      {"small gap filled", 0, 0, {1, 0, 0, 1}, 0, {{1, 4}}, {1, -1, 0, 1}},
      {"large gap cut", 0, 0, {1, 0, 0, 0, 3}, 0, {{1, 1}, {3, 1}}, {1, 2}},
      {"joined by two", 9, -2, {1, 2, 3, 4}, 8, {{0, 2}}, {3, 4}},
      {"joined by four", 10, 1, {1, 1, 1, 5}, 8, {{1, 2}}, {3, 2}},
      {"nothing", 3, 7, {0, 0}, 3, {}, {}},
      {"all in one", 40, -5, {1, 2}, 8, {{0, 1}}, {3}},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Request request;
    Point point;
    point.scale = c.scale;
    point.positive_offset = c.offset;
    request.counts = c.counts;
    point.positive = {0, c.counts.size()};
    point.count = 10;
    const absl::StatusOr<Histogram> histogram = FromExponential(request, point);
    REQUIRE(histogram.ok());
    CHECK(histogram->schema == c.schema);
    CHECK(histogram->positive_spans == c.spans);
    CHECK(histogram->positive_deltas == c.deltas);
    CHECK(histogram->zero_threshold == 1e-128);
  }
}

TEST_CASE("Differences are added up where that is asked for") {
  Endpoints::Options options;
  options.otlp_delta = Settings::Delta::kToCumulative;
  RemoteFixture fixture(options);
  const std::string series = R"({__name__="x_total", instance="i1", job="shop/cart"})";
  for (int i = 0; i < 4; ++i) {
    Export one;
    const uint64_t time = kNowNs + static_cast<uint64_t>(i) * 1'000'000'000;
    one.AddSum("x", 1, time, 5);
    pb::Histogram* const histogram = one.Add("h")->mutable_histogram();
    histogram->set_aggregation_temporality(1);
    pb::HistogramDataPoint* const point = histogram->add_data_points();
    point->set_time_unix_nano(time);
    point->set_count(3);
    point->set_sum(2);
    point->add_bucket_counts(1);
    point->add_bucket_counts(2);
    point->add_explicit_bounds(1);
    CHECK(Post(&fixture, one).body.empty());
    CHECK(Newest(&fixture)[series] == 5 * (i + 1));
    CHECK(Newest(&fixture)[R"({__name__="h_bucket", instance="i1", job="shop/cart", le="1"})"] ==
          i + 1);
    CHECK(Newest(&fixture)[R"({__name__="h_sum", instance="i1", job="shop/cart"})"] == 2 * (i + 1));
    // Once more the same: it is not newer, and counts nothing.
    pb::ExportMetricsServiceResponse answer;
    REQUIRE(answer.ParseFromString(Post(&fixture, one).body));
    CHECK(answer.partial_success().rejected_data_points() == 2);
    CHECK(Newest(&fixture)[series] == 5 * (i + 1));
  }
  Endpoints::Options raw;
  raw.otlp_delta = Settings::Delta::kAsTheyAre;
  RemoteFixture as_they_are(raw);
  Export one;
  one.AddSum("x", 1, kNowNs, 5);
  CHECK(Post(&as_they_are, one).status == 200);
  CHECK(Newest(&as_they_are)[series] == 5);
}

TEST_CASE("Exponential differences of several scales meet at the coarsest") {
  DeltaState state;
  const auto add = [&](int32_t scale, int32_t offset, std::vector<uint64_t> counts, uint64_t time) {
    Request request;
    request.resources.push_back({{}, {0, 1}});
    request.scopes.emplace_back().metrics = {0, 1};
    Metric& metric = request.metrics.emplace_back();
    metric.kind = MetricKind::kExponential;
    metric.temporality = Temporality::kDelta;
    metric.points = {0, 1};
    Point& point = request.points.emplace_back();
    point.time_ns = time;
    point.scale = scale;
    point.positive_offset = offset;
    request.counts = std::move(counts);
    point.positive = {0, request.counts.size()};
    for (const uint64_t count : request.counts) point.count += count;
    CHECK(state.ToCumulative(&request).dropped_points == 0);
    return std::make_pair(request, request.points[0]);
  };
  add(2, 4, {1, 1, 1, 1}, 1);
  const auto [request, point] = add(1, 2, {5}, 2);
  CHECK(point.scale == 1);
  CHECK(point.count == 9);
  CHECK(point.positive_offset == 2);
  const std::span<const uint64_t> counts = Request::Of(request.counts, point.positive);
  CHECK(std::vector<uint64_t>(counts.begin(), counts.end()) == std::vector<uint64_t>{7, 2});
  // Indices that lie far apart make it coarser, not large.
  const auto [wide, wide_point] = add(1, 1'000'000, {1}, 3);
  CHECK(wide_point.scale < 1);
  CHECK(wide_point.positive.size() <= 4096);
  CHECK(wide_point.count == 10);
  CHECK(state.streams() == 1);
}

}  // namespace narthex::otlp
