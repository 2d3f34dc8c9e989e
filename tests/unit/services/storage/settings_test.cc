// What flags and file say together, and which flags are refused.
#include "services/storage/settings.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/upload_list.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::storage_service {
namespace {

TEST_CASE("The file beats the flags where it says something") {
  struct Case {
    const char* name;
    absl::Duration flag_time;
    uint64_t flag_bytes;
    std::optional<config::RetentionConfig> file;
    absl::Duration time;
    uint64_t bytes;
    double percentage;
    const char* text;
  };
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  const absl::Duration day = absl::Hours(24);
  const auto file = [](std::optional<absl::Duration> time, std::optional<int64_t> bytes,
                       std::optional<double> percentage) {
    config::RetentionConfig config;
    config.time = time;
    config.size_bytes = bytes;
    config.percentage = percentage;
    return std::optional<config::RetentionConfig>(config);
  };
  const Case cases[] = {
      {"nothing is fifteen days", {}, 0, std::nullopt, 15 * day, 0, 0, "15d"},
      {"a time", day, 0, std::nullopt, day, 0, 0, "1d"},
      {"a size alone keeps for ever", {}, 10 * kGiB, std::nullopt, {}, 10 * kGiB, 0, "10GiB"},
      {"both", 30 * day, kGiB, std::nullopt, 30 * day, kGiB, 0, "30d or 1GiB"},
      {"the file's time", day, kGiB, file(2 * day, {}, {}), 2 * day, kGiB, 0, "2d or 1GiB"},
      {"the file's size", day, kGiB, file({}, 5, {}), day, 5, 0, "1d or 5B"},
      {"the file's zero time", day, kGiB, file(absl::ZeroDuration(), {}, {}), {}, kGiB, 0, "1GiB"},
      {"a percentage", {}, 0, file({}, {}, 80.5), {}, 0, 80.5, "80.5%"},
      {"zeros are nothing", {}, 0, file(absl::ZeroDuration(), 0, 0), 15 * day, 0, 0, "15d"},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Options options;
    options.retention_time = c.flag_time;
    options.retention_size_bytes = c.flag_bytes;
    config::StorageConfig config;
    if (c.file.has_value()) config.tsdb.emplace().retention = c.file;
    const tsdb::DbSettings settings = MakeDbSettings(options, config);
    CHECK(settings.retention_time == c.time);
    CHECK(settings.retention_bytes == c.bytes);
    CHECK(settings.retention_percentage == c.percentage);
    CHECK(RetentionText(settings) == c.text);
  }
}

TEST_CASE("Exemplars and the out-of-order window come from the file") {
  Options options;
  config::StorageConfig config;
  CHECK(MakeDbSettings(options, config).exemplars_max == 100'000);
  CHECK(MakeDbSettings(options, config).out_of_order_window == absl::ZeroDuration());
  options.exemplars_max = 7;
  CHECK(MakeDbSettings(options, config).exemplars_max == 7);
  config.max_exemplars = 9;
  config.tsdb.emplace().out_of_order_time_window = absl::Minutes(30);
  CHECK(MakeDbSettings(options, config).exemplars_max == 9);
  CHECK(MakeDbSettings(options, config).out_of_order_window == absl::Minutes(30));
  config.max_exemplars = -1;  // Upstream: off.
  CHECK(MakeDbSettings(options, config).exemplars_max == 0);
}

TEST_CASE("Flags shape the database") {
  Options options;
  options.path = "/x";
  options.block_range_min = absl::Hours(1);
  options.block_range_max = absl::Hours(9);
  options.samples_per_chunk = 60;
  options.series_max = 1000;
  options.series_per_job_max = 100;
  options.sample_age_max = absl::Hours(48);
  options.sample_future_max = absl::Minutes(10);
  options.labels_max = 30;
  options.label_name_bytes_max = 31;
  options.label_value_bytes_max = 32;
  const tsdb::DbOptions db = MakeDbOptions(options, {});
  CHECK(db.path == "/x");
  CHECK(db.block_range_min_ms == 3'600'000);
  CHECK(db.block_range_max_ms == 9 * 3'600'000);
  CHECK(db.head.chunks.range_ms == 3'600'000);
  CHECK(db.head.chunks.samples_target == 60);
  CHECK(db.head.exemplars_max == 100'000);
  CHECK(db.head.limits.series_max == 1000);
  CHECK(db.head.limits.series_per_job_max == 100);
  CHECK(db.head.limits.past_max == absl::Hours(48));
  CHECK(db.head.limits.future_max == absl::Minutes(10));
  CHECK(db.head.limits.labels_max == 30);
  CHECK(db.head.limits.label_name_bytes_max == 31);
  CHECK(db.head.limits.label_value_bytes_max == 32);
  CHECK(MakeDbOptions(Options(), {}).head.limits.past_max == absl::InfiniteDuration());
}

TEST_CASE("Encodings, start timestamps and what compaction waits for are asked for") {
  const tsdb::DbOptions plain = MakeDbOptions(Options(), {});
  CHECK_FALSE(plain.settings.xor2_floats);
  CHECK(plain.settings.stale_series_threshold == 0);
  CHECK_FALSE(plain.head.chunks.start_timestamps);
  CHECK(plain.compaction_delay == absl::ZeroDuration());
  config::StorageConfig file;
  file.tsdb.emplace();
  file.tsdb->chunk_encoding_floats = "xor2";
  file.tsdb->stale_series_compaction_threshold = 0.25;
  CHECK(MakeDbSettings(Options(), file).xor2_floats);
  CHECK(MakeDbSettings(Options(), file).stale_series_threshold == 0.25);
  Options options;
  options.features = {"st-storage,xor2-encoding", "delayed-compaction"};
  options.compaction_delay_max_percent = 50;
  absl::Duration longest;
  for (int i = 0; i < 100; ++i) {
    const tsdb::DbOptions db = MakeDbOptions(options, {});
    CHECK(db.settings.xor2_floats);
    CHECK(db.head.chunks.start_timestamps);
    CHECK(db.head.ooo.start_timestamps);
    longest = std::max(longest, db.compaction_delay);
  }
  CHECK(longest > absl::Minutes(20));
  CHECK(longest <= absl::Hours(1));
}

TEST_CASE("A block waits for its copy when the list of uploads lacks it, and the list is there") {
  constexpr char kPath[] = "/thanos.shipper.json";
  struct Case {
    std::optional<std::string> file;
    int level;
    bool awaited;
  };
  const Case cases[] = {
      {std::nullopt, 1, false},
      {"{[", 1, false},
      {"[]", 1, false},
      {R"({"uploaded": 5})", 1, false},
      {R"({"uploaded": [5]})", 1, false},
      {R"({"version": 1})", 1, true},
      {R"({"uploaded": null})", 1, true},
      {R"({"uploaded": []})", 1, true},
      {R"({"uploaded": ["A", "C"]})", 1, true},
      {R"({"uploaded": ["A", "C"]})", 2, false},
      {R"({"version": 1, "uploaded": ["A", "B"]})", 1, false},
  };
  tsdb::BlockMeta meta;
  meta.ulid = "B";
  for (const Case& one : cases) {
    INFO(one.file.value_or("no file"));
    FaultFileSystem fs;
    FakeClock clock;
    if (one.file) REQUIRE(fs.WriteFileAtomically(kPath, *one.file).ok());
    meta.compaction.level = one.level;
    CHECK(UploadList(kPath, &fs, &clock, Logger()).IsAwaited(meta) == one.awaited);
  }
  // It is read again after a minute, and each time while it cannot be read.
  meta.compaction.level = 1;
  FaultFileSystem fs;
  FakeClock clock;
  UploadList list(kPath, &fs, &clock, Logger());
  CHECK_FALSE(list.IsAwaited(meta));
  REQUIRE(fs.WriteFileAtomically(kPath, R"({"uploaded": []})").ok());
  CHECK(list.IsAwaited(meta));
  REQUIRE(fs.WriteFileAtomically(kPath, R"({"uploaded": ["B"]})").ok());
  CHECK(list.IsAwaited(meta));
  clock.Advance(absl::Minutes(1));
  CHECK_FALSE(list.IsAwaited(meta));
}

TEST_CASE("Values that cannot be used are named") {
  CHECK(CheckOptions(Options()).ok());
  struct Case {
    const char* flag;
    std::function<void(Options*)> change;
  };
  const Case cases[] = {
      {"--storage.tsdb.wal-segment-size", [](Options* o) { o->segment_size_bytes = 1 << 20; }},
      {"--storage.tsdb.wal-segment-size", [](Options* o) { o->segment_size_bytes += 1; }},
      {"--storage.tsdb.max-block-chunk-segment-size",
       [](Options* o) { o->chunk_segment_size_bytes = 1000; }},
      {"--storage.tsdb.min-block-duration",
       [](Options* o) { o->block_range_min = absl::Seconds(1); }},
      {"--storage.tsdb.max-block-duration",
       [](Options* o) { o->block_range_max = absl::Hours(1); }},
      {"--storage.tsdb.block-reload-interval",
       [](Options* o) { o->block_reload_interval = absl::Milliseconds(5); }},
      {"--storage.tsdb.delayed-compaction.max-percent",
       [](Options* o) { o->compaction_delay_max_percent = 0; }},
      {"--storage.tsdb.delayed-compaction.max-percent",
       [](Options* o) { o->compaction_delay_max_percent = 101; }},
      {"--storage.tsdb.samples-per-chunk", [](Options* o) { o->samples_per_chunk = 0; }},
      {"--storage.exemplars.max-exemplars", [](Options* o) { o->exemplars_max = -1; }},
      {"--storage.limits.series", [](Options* o) { o->series_max = -1; }},
      {"--storage.limits.series-per-job", [](Options* o) { o->series_per_job_max = -1; }},
      {"--storage.limits.sample-future",
       [](Options* o) { o->sample_future_max = absl::ZeroDuration(); }},
      {"--storage.limits.labels-per-series", [](Options* o) { o->labels_max = -1; }},
      {"--storage.limits.label-name-length", [](Options* o) { o->label_name_bytes_max = -1; }},
      {"--storage.limits.label-value-length", [](Options* o) { o->label_value_bytes_max = -1; }},
      {"--grpc.streams-max", [](Options* o) { o->streams_max = 0; }},
      {"--fsck.dry-run", [](Options* o) { o->fsck_dry_run = true; }},
      {"--web.remote-write-receiver.accepted-protobuf-messages",
       [](Options* o) {
         o->remote_write_messages = {"prometheus.WriteRequest", "x"};
       }},
      {"--storage.remote.read-max-bytes-in-frame",
       [](Options* o) { o->remote_read_frame_bytes_max = 1; }},
  };
  for (const Case& c : cases) {
    INFO(c.flag);
    Options options;
    c.change(&options);
    const absl::Status status = CheckOptions(options);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(Message(status).find(c.flag) != std::string::npos);
  }
}

TEST_CASE("Upstream's command line is understood") {
  Options options;
  flags::FlagSet flags("narthex-storage", "v", "d");
  RegisterFlags(&flags, &options);
  const char* const argv[] = {"narthex-storage",
                              "--storage.tsdb.path=/data",
                              "--storage.tsdb.retention.time=30d",
                              "--storage.tsdb.retention.size=512MB",
                              "--storage.tsdb.no-lockfile",
                              "--storage.tsdb.min-block-duration=1h",
                              "--storage.tsdb.max-block-duration=1d",
                              "--storage.tsdb.wal-compression",
                              "--storage.tsdb.wal-compression-type=zstd",
                              "--storage.tsdb.head-chunks-write-queue-size=10",
                              "--storage.tsdb.allow-overlapping-blocks",
                              "--storage.tsdb.delay-compact-file.path=/thanos.shipper.json",
                              "--storage.tsdb.delayed-compaction.max-percent=5",
                              "--storage.remote.read-sample-limit=1000",
                              "--web.enable-admin-api",
                              "--web.enable-remote-write-receiver",
                              "--enable-feature=exemplar-storage,native-histograms",
                              "--enable-feature=st-storage,promql-at-modifier, nonsense"};
  const auto parsed = flags.Parse(static_cast<int>(std::size(argv)), argv);
  INFO(parsed.status().ToString());
  REQUIRE(parsed.ok());
  CHECK(options.path == "/data");
  CHECK(options.retention_time == absl::Hours(24 * 30));
  CHECK(options.retention_size_bytes == uint64_t{512} << 20);
  CHECK(options.block_range_min == absl::Hours(1));
  CHECK(options.block_range_max == absl::Hours(24));
  CHECK(options.log_compression == "zstd");
  CHECK(options.upload_list == "/thanos.shipper.json");
  CHECK(options.compaction_delay_max_percent == 5);
  CHECK(options.remote_read_samples_max == 1000);
  CHECK(options.enable_admin_api);
  CHECK(options.enable_remote_write_receiver);
  CHECK(HasFeature(options, "st-storage"));
  CHECK_FALSE(HasFeature(options, "st"));
  CHECK(UnknownFeatures(options) == std::vector<std::string>{"nonsense"});
  CHECK(CheckOptions(options).ok());
  CHECK(flags.ignored().size() == 3);
}

}  // namespace
}  // namespace narthex::storage_service
