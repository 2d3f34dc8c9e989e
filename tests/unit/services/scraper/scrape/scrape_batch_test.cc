#include "services/scraper/scrape/scrape_batch.h"

#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "services/scraper/scrape/limits.h"
#include "services/scraper/scrape/report_series.h"
#include "tests/unit/services/scraper/scrape/recording_sink.h"

namespace narthex::scrape {
namespace {

constexpr Timestamp kNow = 1700000000000;

// One target that is read body by body, as a ScrapeLoop does it.
struct Fixture {
  config::ScrapeConfig config;
  Labels target{{"instance", "host:1"}, {"job", "j"}};
  RecordingSink sink;
  ScrapeCache cache;
  MetadataCache metadata;
  BodyCounts counts;
  absl::Status status;

  RecordingSink::Batch Read(const std::string& body) {
    counts = BodyCounts();
    storage::NumberedBatch batch;
    batch.base_timestamp = kNow;
    auto parser = textparse::NewParser(textparse::Format::kPrometheusText, body);
    REQUIRE(parser.ok());
    cache.Begin();
    metadata.Begin();
    BodyReader reader(&config, &target, &cache, &metadata, &sink);
    status = reader.Read(parser->get(), &batch, &counts);
    const auto marker = [&](storage::SeriesNumber number) { batch.Add(number, StaleNan()); };
    if (status.ok()) {
      cache.Commit(marker);
      metadata.Commit();
    } else {
      batch = storage::NumberedBatch();
      cache.Abort(marker);
    }
    sink.Append(std::move(batch));
    sink.RetireSeries(cache.TakeRetired());
    return sink.last();
  }
};

relabel::RelabelConfig Rule(relabel::Action action, const std::string& source,
                            const std::string& regex, const std::string& target = "",
                            const std::string& replacement = "$1") {
  relabel::RelabelConfig rule;
  rule.action = action;
  if (!source.empty()) rule.source_labels = {source};
  rule.regex = *Regex::Compile(regex);
  rule.target_label = target;
  rule.replacement = replacement;
  return rule;
}

TEST_CASE("a body becomes one batch with the target's labels") {
  Fixture f;
  const auto batch = f.Read("# HELP a Some help.\n# TYPE a counter\na 1\nb{x=\"y\"} 2.5\n");
  REQUIRE(f.status.ok());
  CHECK(batch ==
        RecordingSink::Batch{{R"({__name__="a", instance="host:1", job="j"})", "1"},
                             {R"({__name__="b", instance="host:1", job="j", x="y"})", "2.5"}});
  CHECK(f.counts.samples == 2);
  CHECK(f.counts.after_relabelling == 2);
  CHECK(f.counts.series_added == 2);
  REQUIRE(f.metadata.Find("a") != nullptr);
  CHECK(f.metadata.Find("a")->help == "Some help.");
  CHECK(f.metadata.Find("a")->type == MetricType::kCounter);
  f.Read("a 1\nb{x=\"y\"} 2.5\n");
  CHECK(f.counts.series_added == 0);
}

TEST_CASE("honor_labels decides between the target's labels and the exposed ones") {
  struct Case {
    bool honor;
    std::string exposed;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {false, R"(m{job="x"} 1)", R"({__name__="m", exported_job="x", instance="host:1", job="j"})"},
      {true, R"(m{job="x"} 1)", R"({__name__="m", instance="host:1", job="x"})"},
      {false, R"(m{job="x",exported_job="y"} 1)",
       R"({__name__="m", exported_exported_job="x", exported_job="y", instance="host:1", job="j"})"},
      {false, R"(m{job=""} 1)", R"({__name__="m", instance="host:1", job="j"})"},
      // The exposed empty label takes the target's away.
      {true, R"(m{job=""} 1)", R"({__name__="m", instance="host:1"})"},
      {true, R"(m{job="",instance=""} 1)", R"({__name__="m"})"},
      {true, R"(m{other=""} 1)", R"({__name__="m", instance="host:1", job="j"})"},
      {true, R"(m 1)", R"({__name__="m", instance="host:1", job="j"})"},
  };
  for (const Case& c : cases) {
    INFO(c.exposed << " honor " << c.honor);
    Fixture f;
    f.config.honor_labels = c.honor;
    const auto batch = f.Read(c.exposed + "\n");
    REQUIRE(batch.size() == 1);
    CHECK(batch.begin()->first == c.expected);
  }
}

TEST_CASE("conflicts of labels with exported_ in their names find free names, shorter ones first") {
  Fixture f;
  f.target = Labels{{"a", "1"}, {"exported_a", "2"}};
  const auto batch = f.Read("m{a=\"x\",exported_a=\"y\"} 1\n");
  REQUIRE(batch.size() == 1);
  CHECK(batch.begin()->first == R"({__name__="m", a="1", exported_a="2", exported_exported_a="x", )"
                                R"(exported_exported_exported_a="y"})");
}

TEST_CASE("timestamps are honoured, ignored, or refused when far in the future") {
  Fixture f;
  const std::string body = "a 1 1000\nb 2 99999999999999\nc 3\n";
  auto batch = f.Read(body);
  CHECK(f.counts.out_of_bounds == 1);
  CHECK(f.counts.after_relabelling == 3);
  CHECK(batch == RecordingSink::Batch{{R"({__name__="a", instance="host:1", job="j"})", "1@1000"},
                                      {R"({__name__="c", instance="host:1", job="j"})", "3"}});
  // Only the series without a timestamp of its own goes stale.
  batch = f.Read("");
  CHECK(batch == RecordingSink::Batch{{R"({__name__="c", instance="host:1", job="j"})", "stale"}});

  Fixture ignoring;
  ignoring.config.honor_timestamps = false;
  batch = ignoring.Read(body);
  CHECK(batch.size() == 3);
  CHECK(batch[R"({__name__="a", instance="host:1", job="j"})"] == "1");

  Fixture tracking;
  tracking.config.track_timestamps_staleness = true;
  tracking.Read("a 1 1000\n");
  CHECK(tracking.Read("") ==
        RecordingSink::Batch{{R"({__name__="a", instance="host:1", job="j"})", "stale"}});
}

TEST_CASE("of two samples of one series the first is kept, but each timestamp has its own") {
  Fixture f;
  auto batch = f.Read("a 1\na 2\nb 1 1000\nb 2 2000\n");
  CHECK(f.counts.duplicates == 1);
  CHECK(batch[R"({__name__="a", instance="host:1", job="j"})"] == "1");
  CHECK(batch[R"({__name__="b", instance="host:1", job="j"})"] == "1@1000 2@2000");
  // Other text, same series.
  batch = f.Read("a{x=\"\"} 5\na 6\n");
  CHECK(f.counts.duplicates == 1);
  CHECK(f.counts.series_added == 0);
  CHECK(batch[R"({__name__="a", instance="host:1", job="j"})"] == "5");
}

TEST_CASE("metric relabelling drops, renames and counts") {
  Fixture f;
  f.config.metric_relabel_configs = {
      Rule(relabel::Action::kDrop, "__name__", "drop_.*"),
      Rule(relabel::Action::kReplace, "__name__", "old_(.*)", "__name__", "new_$1"),
      Rule(relabel::Action::kLabelDrop, "", "secret")};
  for (int round = 0; round < 2; ++round) {
    const auto batch = f.Read("drop_a 1\nold_b{secret=\"s\"} 2\nc 3\n");
    CHECK(batch ==
          RecordingSink::Batch{{R"({__name__="c", instance="host:1", job="j"})", "3"},
                               {R"({__name__="new_b", instance="host:1", job="j"})", "2"}});
    CHECK(f.counts.samples == 3);
    CHECK(f.counts.after_relabelling == 2);
    CHECK(f.counts.series_added == (round == 0 ? 2 : 0));
  }
  // A name that is relabelled away fails the scrape, as upstream does.
  f.config.metric_relabel_configs = {Rule(relabel::Action::kLabelDrop, "", "__name__")};
  f.cache.Forget();
  f.Read("a 1\n");
  CHECK(Message(f.status) == "missing metric name (__name__ label)");
}

TEST_CASE("a body with an error stores nothing and ends what was live") {
  Fixture f;
  f.Read("a 1\nb 2\n");
  const auto batch = f.Read("a 1\nnew 5\nthis is no metric\n");
  CHECK_FALSE(f.status.ok());
  CHECK(f.counts.samples == 2);
  CHECK(f.counts.series_added == 1);
  CHECK(batch == RecordingSink::Batch{{R"({__name__="a", instance="host:1", job="j"})", "stale"},
                                      {R"({__name__="b", instance="host:1", job="j"})", "stale"}});
  CHECK(f.Read("a 1\nb 2\n").size() == 2);
  CHECK(f.counts.series_added == 0);
}

TEST_CASE("sample_limit counts what relabelling leaves, and goes on counting") {
  Fixture f;
  f.config.limits.samples = 2;
  f.config.metric_relabel_configs = {Rule(relabel::Action::kDrop, "__name__", "drop_.*")};
  CHECK(f.Read("a 1\nb 1\ndrop_1 1\ndrop_2 1\n").size() == 2);
  const auto batch = f.Read("a 1\nb 1\nc 1\ndrop_1 1\nd 1\n");
  CHECK(Message(f.status) == "sample limit exceeded");
  CHECK(f.counts.sample_limit_exceeded);
  CHECK(f.counts.samples == 5);
  CHECK(f.counts.after_relabelling == 4);
  CHECK(batch.size() == 2);
  CHECK(batch.begin()->second == "stale");
}

TEST_CASE("a body beyond sample_limit does not fill the cache") {
  Fixture f;
  f.config.limits.samples = 10;
  std::string body;
  for (int i = 0; i < 1000; ++i) body += StrCat("m", i, " 1\n");
  f.Read(body);
  CHECK(f.counts.after_relabelling == 1000);
  CHECK(f.cache.texts() <= 11);
}

TEST_CASE("label limits fail the scrape in upstream's words") {
  struct Case {
    config::ScrapeLimits limits;
    std::string error;
  };
  config::ScrapeLimits count, name, value;
  count.labels = 3;
  name.label_name_length = 8;
  value.label_value_length = 6;
  const std::vector<Case> cases = {
      {count, "label_limit exceeded (metric: m, number of labels: 4, limit: 3)"},
      {name,
       "label_name_length_limit exceeded (metric: m, label name: long_name, length: 9, "
       "limit: 8)"},
      {value,
       "label_value_length_limit exceeded (metric: m, label name: long_name, value: "
       "\"a longer value\", length: 14, limit: 6)"},
  };
  for (const Case& c : cases) {
    Fixture f;
    f.target = Labels{{"job", "j"}, {"x", "y"}};
    f.config.limits = c.limits;
    f.Read("m{long_name=\"a longer value\"} 1\n");
    CHECK(Message(f.status) == c.error);
    CHECK(f.counts.label_limit_exceeded);
  }
  CHECK(CheckTargetLimit(3, config::ScrapeLimits()).ok());
  config::ScrapeLimits targets;
  targets.targets = 2;
  CHECK(CheckTargetLimit(2, targets).ok());
  CHECK(Message(CheckTargetLimit(3, targets)) ==
        "target_limit exceeded (number of targets: 3, limit: 2)");
}

TEST_CASE("names that the validation scheme forbids fail the scrape") {
  Fixture f;
  f.Read("{\"a.b\"} 1\n");
  CHECK(f.status.ok());
  f.config.metric_name_validation_scheme = NameValidationScheme::kLegacy;
  f.cache.Forget();
  f.Read("{\"a.b\"} 1\n");
  CHECK(Message(f.status).substr(0, 36) == "invalid metric name or label names: ");
}

TEST_CASE("a staleness marker cannot come from a target") {
  Fixture f;
  CHECK(f.Read("a NaN\n").begin()->second == StrCat(NormalNan()));
}

TEST_CASE("report series carry the target's labels and end when they are switched off") {
  RecordingSink sink;
  ReportSeries series;
  const Labels target{{"__name__", "odd"}, {"job", "j"}};
  ScrapeReport report;
  report.up = true;
  report.duration = absl::Milliseconds(1500);
  report.samples_scraped = 10;
  report.samples_after_relabelling = 8;
  report.series_added = 2;
  report.timeout = absl::Seconds(10);
  report.sample_limit = 100;
  report.body_bytes = -1;
  const auto append = [&](bool extra) {
    storage::NumberedBatch batch;
    series.Append(report, target, extra, &sink, &batch);
    sink.Append(std::move(batch));
    sink.RetireSeries(series.TakeRetired());
    return sink.last();
  };
  const RecordingSink::Batch base = {
      {R"({__name__="up", job="j"})", "1"},
      {R"({__name__="scrape_duration_seconds", job="j"})", "1.5"},
      {R"({__name__="scrape_samples_scraped", job="j"})", "10"},
      {R"({__name__="scrape_samples_post_metric_relabeling", job="j"})", "8"},
      {R"({__name__="scrape_series_added", job="j"})", "2"}};
  CHECK(append(false) == base);
  RecordingSink::Batch extended = base;
  extended[R"({__name__="scrape_timeout_seconds", job="j"})"] = "10";
  extended[R"({__name__="scrape_sample_limit", job="j"})"] = "100";
  extended[R"({__name__="scrape_body_size_bytes", job="j"})"] = "-1";
  CHECK(append(true) == extended);
  CHECK(sink.numbers_in_use() == 8);
  for (auto& [labels, value] : extended) {
    if (!base.contains(labels)) value = "stale";
  }
  CHECK(append(false) == extended);
  CHECK(sink.numbers_in_use() == 5);
  CHECK(append(false) == base);
  storage::NumberedBatch stale;
  series.AppendStale(&stale);
  CHECK(stale.size() == 5);
  CHECK(series.Clear().size() == 5);
  CHECK(series.Clear().empty());
}

}  // namespace
}  // namespace narthex::scrape
