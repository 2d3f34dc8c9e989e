#include "services/storage/remote/otlp/names.h"
#include "catch2/catch.hpp"

namespace narthex::otlp {
namespace {

NameOptions Options(bool escape, bool suffixes) {
  NameOptions options;
  options.escape = escape;
  options.suffixes = suffixes;
  return options;
}

}  // namespace

TEST_CASE("Metric names follow the four strategies") {
  struct Case {
    std::string_view name;
    std::string_view unit;
    MetricKind kind;
    bool monotonic;
    std::string_view escaped;  // With suffixes.
    std::string_view plain;    // Escaped, without suffixes.
    std::string_view utf8;     // Not escaped, with suffixes.
  };
  constexpr MetricKind kGauge = MetricKind::kGauge;
  constexpr MetricKind kSum = MetricKind::kSum;
  const Case cases[] = {
      {"http.server.duration", "s", MetricKind::kHistogram, false, "http_server_duration_seconds",
       "http_server_duration", "http.server.duration_seconds"},
      {"requests.count", "1", kSum, true, "requests_count_total", "requests_count",
       "requests.count_total"},
      {"memory.usage", "By", kGauge, false, "memory_usage_bytes", "memory_usage",
       "memory.usage_bytes"},
      {"hw.gpu.memory.utilization", "1", kGauge, false, "hw_gpu_memory_utilization_ratio",
       "hw_gpu_memory_utilization", "hw.gpu.memory.utilization_ratio"},
      {"total.total.http", "", kSum, true, "http_total", "total_total_http",
       "total.total.http_total"},
      {"http_requests_total", "", kSum, true, "http_requests_total", "http_requests_total",
       "http_requests_total"},
      {"system.io", "foo/bar", kSum, true, "system_io_foo_per_bar_total", "system_io",
       "system.io_foo_per_bar_total"},
      {"fuel.speed", "m/s", kGauge, false, "fuel_speed_meters_per_second", "fuel_speed",
       "fuel.speed_meters_per_second"},
      {"network.speed", "{packets}/s", kGauge, false, "network_speed_per_second", "network_speed",
       "network.speed_per_second"},
      {"temp_celsius", "Cel", kGauge, false, "temp_celsius", "temp_celsius", "temp_celsius"},
      {"some.values", "%", kGauge, false, "some_values_percent", "some_values",
       "some.values_percent"},
      {"a..b__c", "", kGauge, false, "a_b_c", "a_b__c", "a..b__c"},
      {"2xx", "", kGauge, false, "_2xx", "_2xx", "2xx"},
      {"ünïcode:x", "", kGauge, false, "n_code:x", "n_code:x", "ünïcode:x"},
      {"disk", "$x/", kGauge, false, "disk_x", "disk", "disk_$x"},
  };
  for (const Case& c : cases) {
    INFO(c.name << " in " << c.unit);
    Metric metric;
    metric.name = c.name;
    metric.unit = c.unit;
    metric.kind = c.kind;
    metric.monotonic = c.monotonic;
    CHECK(MetricName(metric, Options(true, true)).value() == c.escaped);
    CHECK(MetricName(metric, Options(true, false)).value() == c.plain);
    CHECK(MetricName(metric, Options(false, true)).value() == c.utf8);
    CHECK(MetricName(metric, Options(false, false)).value() == c.name);
  }
  for (const std::string_view bad : {"", "...", "日本"}) {
    Metric metric;
    metric.name = bad;
    CHECK_FALSE(MetricName(metric, Options(true, true)).ok());
    CHECK_FALSE(MetricName(metric, Options(true, false)).ok());
  }
}

TEST_CASE("Label names are escaped, and stay where they may") {
  struct Case {
    std::string_view key;
    std::string_view name;
    std::string_view permissive;  // Without sanitization of underscores.
    std::string_view single;      // Runs of underscores as one.
  };
  const Case cases[] = {
      {"http.method", "http_method", "http_method", "http_method"},
      {"a..b", "a__b", "a__b", "a_b"},
      {"_x", "key_x", "_x", "key_x"},
      {"__reserved__", "__reserved__", "__reserved__", "key_reserved_"},
      {"0day", "key_0day", "key_0day", "key_0day"},
      {"ü", "", "", ""},
      {"aü:b", "a__b", "a__b", "a_b"},
      {"", "", "", ""},
  };
  NameOptions permissive;
  permissive.underscore_sanitization = false;
  NameOptions single;
  single.preserve_multiple_underscores = false;
  for (const Case& c : cases) {
    INFO(c.key);
    const auto check = [&](const NameOptions& options, std::string_view expected) {
      const auto name = LabelName(c.key, options);
      // "ü" alone becomes "key_" by sanitization, which is a name.
      CHECK((name.ok() ? *name : "") ==
            (c.key == "ü" && options.underscore_sanitization ? "key_" : std::string(expected)));
    };
    check({}, c.name);
    check(permissive, c.permissive);
    check(single, c.single);
    NameOptions utf8;
    utf8.escape = false;
    CHECK(LabelName(c.key, utf8).ok() == !c.key.empty());
  }
}

TEST_CASE("Units are said in words") {
  CHECK(UnitName("By/s", {}) == "bytes_per_second");
  CHECK(UnitName("1", {}).empty());
  CHECK(UnitName("{requests}/m", {}) == "per_minute");
  CHECK(UnitName("ms", {}) == "milliseconds");
}

}  // namespace narthex::otlp
