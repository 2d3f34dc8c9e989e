// Checkpoints of the log: what they keep, and that nothing is lost whatever happens meanwhile.
#include "services/storage/tsdb/checkpoint.h"

#include <map>
#include <set>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/log_reader.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/transactions.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {
namespace {

constexpr char kLog[] = "/data/wal";
const std::string kSpace(wal::kReferenceSpaceSize, 's');

// A log as the head writes it.
class LogWriter {
 public:
  explicit LogWriter(io::FileSystem* fs, uint64_t segment = 0, bool ours = true) {
    REQUIRE(fs->CreateDirectories(kLog).ok());
    wal::WriterOptions options;
    options.segment_size_bytes = 64 * wal::kPageSize;
    auto writer = wal::Writer::Open(
        fs, kLog, segment, options, [this, ours](uint64_t number, std::vector<std::string>* out) {
          if (!ours) return;
          out->push_back(wal::EncodeSegmentMarker({kSpace, 77, number, next_reference_}));
          for (const auto& [id, sequence] : senders_) {
            wal::EncodeBatchHeader({0, id, sequence}, &out->emplace_back());
          }
          if (truncation_) out->push_back(wal::EncodeTruncation(*truncation_));
        });
    REQUIRE(writer.ok());
    writer_ = std::move(*writer);
  }

  static std::string Series(uint64_t ref, std::string_view name) {
    wal::SeriesEncoder encoder;
    const LabelView labels[] = {{"__name__", name}};
    encoder.Add(ref, labels);
    return std::string(encoder.record());
  }
  static std::string Samples(const std::vector<std::pair<uint64_t, Timestamp>>& samples) {
    wal::SamplesEncoder encoder;
    encoder.Reserve(samples.size());
    for (const auto& [ref, timestamp] : samples) encoder.Add(ref, timestamp, 1);
    return std::string(encoder.record());
  }
  void Log(const std::vector<std::string>& records) {
    const std::vector<std::string_view> views(records.begin(), records.end());
    REQUIRE(writer_->Log(views).ok());
  }
  void Batch(const std::string& sender, uint64_t sequence, std::vector<std::string> records) {
    std::string header;
    wal::EncodeBatchHeader({records.size(), sender, sequence}, &header);
    records.insert(records.begin(), header);
    Log(records);
    senders_[sender] = sequence;
  }
  void Next() { REQUIRE(writer_->NextSegment().ok()); }
  void Truncate(const wal::Truncation& truncation) {
    truncation_ = truncation;
    Next();
  }
  uint64_t segment() const { return writer_->position().segment; }

  uint64_t next_reference_ = 100;
  std::map<std::string, uint64_t> senders_;

 private:
  std::optional<wal::Truncation> truncation_;
  std::unique_ptr<wal::Writer> writer_;
};

// What a replay of the log would hear.
struct Contents {
  std::map<uint64_t, std::string> series;
  std::set<std::pair<uint64_t, Timestamp>> samples;
  std::multiset<std::string> others;  // Records of other kinds, as they are.
  std::vector<std::string> order;     // "truncation T" and "sample T", in order.
  std::map<std::string, uint64_t> applied;
  std::map<uint64_t, std::string> metadata;
  std::optional<wal::SegmentMarker> marker;
  uint64_t reference_max = 0;
  size_t dropped = 0;
};

Contents ReadContents(io::FileSystem* fs) {
  Contents contents;
  wal::Transactions transactions(
      {[&](wal::LogRecord* record) {
         wal::SeriesRecord series;
         std::vector<wal::RefMetadata> metadata;
         wal::Truncation truncation;
         switch (static_cast<uint8_t>(record->type)) {
           case 1:
             REQUIRE(wal::DecodeSeries(record->bytes, &series).ok());
             for (const auto& entry : series.entries) {
               contents.series[entry.ref] = series.LabelsOf(entry)[0].value;
             }
             break;
           case 2:
           case 11:
             for (const wal::RefSample& sample : record->samples) {
               contents.samples.emplace(sample.ref, sample.timestamp);
               contents.order.push_back(StrCat("sample ", sample.timestamp));
             }
             break;
           case 6:
             REQUIRE(wal::DecodeMetadata(record->bytes, &metadata).ok());
             for (const auto& entry : metadata) contents.metadata[entry.ref] = entry.help;
             break;
           case 0xE2:
             REQUIRE(wal::DecodeTruncation(record->bytes, &truncation).ok());
             contents.order.push_back(StrCat("truncation ", truncation.min_time));
             break;
           default:
             contents.others.insert(record->bytes);
         }
         return absl::OkStatus();
       },
       [&](const wal::BatchHeader& header) {
         contents.applied[std::string(header.sender)] = header.sequence;
       },
       [&](uint64_t, uint64_t, const std::vector<wal::LogRecord>&) { ++contents.dropped; }});
  const auto read = [&](const std::vector<wal::Segment>& segments, std::optional<uint64_t> covers) {
    wal::LogReader reader(fs, segments, {});
    wal::LogPiece piece;
    while (reader.Next(&piece)) {
      REQUIRE(piece.status.ok());
      if (piece.first && covers) transactions.BeginCheckpoint(*covers);
      if (piece.first && !covers && segments[piece.segment].size_bytes > 0) {
        transactions.BeginSegment(segments[piece.segment].number);
      }
      for (wal::LogRecord& record : piece.records) {
        REQUIRE(transactions.Add(std::move(record)).ok());
      }
    }
  };
  const auto checkpoint = wal::LastCheckpoint(fs, kLog).value();
  std::vector<wal::Segment> segments = wal::ListSegments(fs, kLog).value();
  if (checkpoint) {
    read(wal::ListSegments(fs, checkpoint->path).value(), checkpoint->segment);
    std::erase_if(segments, [&](const auto& s) { return s.number <= checkpoint->segment; });
  }
  read(segments, std::nullopt);
  transactions.Finish();
  contents.marker = transactions.marker();
  contents.reference_max = transactions.reference_max();
  return contents;
}

CheckpointOptions Options(io::FileSystem* fs, uint64_t last_segment) {
  CheckpointOptions options;
  options.fs = fs;
  options.log_directory = kLog;
  options.last_segment = last_segment;
  options.keep_from = 1000;
  options.keep_series = [](uint64_t ref) { return ref < 50; };
  return options;
}

Histogram SmallHistogram() {
  Histogram histogram;
  histogram.count = 1;
  histogram.zero_count = 1;
  return histogram;
}

// Records of every kind for the series 1 (kept) and 60 (not), old and new.
std::vector<std::string> EveryKind() {
  std::vector<std::string> records = {LogWriter::Series(1, "kept"), LogWriter::Series(60, "gone"),
                                      LogWriter::Samples({{1, 999}, {1, 1000}, {60, 2000}})};
  for (const Timestamp timestamp : {500, 1500}) {
    wal::SamplesV2Encoder samples;
    samples.Add({1, timestamp + 1, 2, timestamp});
    records.emplace_back(samples.record());
    for (const bool v2 : {false, true}) {
      wal::HistogramsEncoder histograms(v2);
      histograms.Add(1, timestamp + 2, 0, SmallHistogram());
      std::vector<std::string_view> views;
      histograms.AppendRecords(&views);
      records.emplace_back(views.at(0));
      wal::FloatHistogramsEncoder floats(v2);
      floats.Add(1, timestamp + 3, 0, ToFloat(SmallHistogram()));
      views.clear();
      floats.AppendRecords(&views);
      records.emplace_back(views.at(0));
    }
    wal::ExemplarsEncoder exemplars;
    const LabelView labels[] = {{"trace_id", "x"}};
    exemplars.Add({1, timestamp, 3, labels});
    records.emplace_back(exemplars.record());
    records.push_back(wal::EncodeTombstones(std::vector<wal::Tombstone>{{1, 0, timestamp}}));
    wal::MetadataEncoder metadata;
    metadata.Add({1, MetricType::kGauge, "", StrCat("at ", timestamp)});
    metadata.Add({60, MetricType::kGauge, "", "gone"});
    records.emplace_back(metadata.record());
  }
  return records;
}

TEST_CASE("A checkpoint keeps living series with what is new enough, of every kind of record") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  log.Batch("a", 7, EveryKind());
  log.Batch("b", 3, {LogWriter::Series(2, "late")});
  log.Next();
  log.Batch("a", 8, {LogWriter::Samples({{2, 3000}})});
  log.Next();
  log.Next();
  const absl::StatusOr<CheckpointStats> stats = WriteCheckpoint(Options(&fs, 1));
  REQUIRE(stats.ok());
  CHECK(stats->series_kept == 2);
  CHECK(stats->series_dropped == 1);
  CHECK(stats->samples_kept == 1 + 1 + 1 + 4);
  CHECK(stats->samples_dropped == 2 + 1 + 4);
  CHECK(stats->exemplars_kept == 1);
  CHECK(stats->exemplars_dropped == 1);
  CHECK(stats->tombstones_kept == 1);
  CHECK(stats->tombstones_dropped == 1);
  CHECK(stats->metadata_kept == 1);
  REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
  CHECK(wal::ListSegments(&fs, kLog)->front().number == 2);

  const Contents contents = ReadContents(&fs);
  CHECK(contents.series == std::map<uint64_t, std::string>{{1, "kept"}, {2, "late"}});
  CHECK(contents.samples ==
        std::set<std::pair<uint64_t, Timestamp>>{{1, 1000}, {1, 1501}, {2, 3000}});
  CHECK(contents.metadata == std::map<uint64_t, std::string>{{1, "at 1500"}});
  CHECK(contents.others.size() == 4 + 1 + 1);
  CHECK(contents.applied == std::map<std::string, uint64_t>{{"a", 8}, {"b", 3}});
  REQUIRE(contents.marker);
  CHECK(contents.marker->reference_space == kSpace);
}

TEST_CASE("What it was taken from and the checkpoint before are its input, and go afterwards") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  for (uint64_t i = 1; i <= 9; ++i) {
    log.Batch("a", i, {LogWriter::Series(i, StrCat("m", i)), LogWriter::Samples({{i, 2000}})});
    log.Next();
  }
  const Contents before = ReadContents(&fs);
  for (const uint64_t last : {2, 5, 7}) {
    REQUIRE(WriteCheckpoint(Options(&fs, last)).ok());
    REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
    CHECK(wal::LastCheckpoint(&fs, kLog).value()->segment == last);
    CHECK(wal::ListSegments(&fs, kLog)->front().number == last + 1);
    size_t checkpoints = 0;
    const std::vector<std::string> names = fs.List(kLog).value();
    for (const std::string& name : names) {
      if (name.starts_with("checkpoint.")) ++checkpoints;
    }
    CHECK(checkpoints == 1);
    const Contents after = ReadContents(&fs);
    CHECK(after.series == before.series);
    CHECK(after.samples == before.samples);
    CHECK(after.applied == before.applied);
  }
  // What is covered already, or not there yet, is refused.
  CHECK(!WriteCheckpoint(Options(&fs, 7)).ok());
  CHECK(!WriteCheckpoint(Options(&fs, 30)).ok());
  CHECK(ReadContents(&fs).samples == before.samples);
}

TEST_CASE("The reference space and the references given away survive in a checkpoint alone") {
  FaultFileSystem fs;
  {
    LogWriter log(&fs);
    log.Batch("a", 1, {LogWriter::Series(175, "gone"), LogWriter::Series(3, "kept")});
    log.Next();
    log.Next();
  }
  REQUIRE(WriteCheckpoint(Options(&fs, 0)).ok());
  REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
  // A crash can leave the segments behind it empty.
  REQUIRE(fs.WriteFileAtomically("/data/wal/00000001", "").ok());
  REQUIRE(fs.Remove("/data/wal/00000002").ok());
  const Contents contents = ReadContents(&fs);
  REQUIRE(contents.marker);
  CHECK(contents.marker->reference_space == kSpace);
  CHECK(contents.reference_max == 175);
  CHECK(contents.applied == std::map<std::string, uint64_t>{{"a", 1}});
}

TEST_CASE("A checkpoint of segments that another program wrote last has no marker") {
  FaultFileSystem fs;
  { LogWriter(&fs).Batch("a", 1, {LogWriter::Series(3, "ours")}); }
  { LogWriter(&fs, 1, false).Log({LogWriter::Series(4, "theirs")}); }
  {
    LogWriter log(&fs, 2, false);
    log.Next();
  }
  REQUIRE(WriteCheckpoint(Options(&fs, 1)).ok());
  REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
  const Contents contents = ReadContents(&fs);
  CHECK(!contents.marker);
  CHECK(contents.series.size() == 2);
  CHECK(contents.applied == std::map<std::string, uint64_t>{{"a", 1}});
}

TEST_CASE("A batch over the edge of a checkpoint counts whole, one without its end not at all") {
  for (const bool complete : {true, false}) {
    FaultFileSystem fs;
    LogWriter log(&fs);
    std::string header;
    wal::EncodeBatchHeader({3, "a", 5}, &header);
    log.Log({LogWriter::Series(1, "m"), header, LogWriter::Samples({{1, 2000}})});
    log.Next();
    log.Log({LogWriter::Samples({{1, 2001}})});
    if (complete) log.Log({LogWriter::Samples({{1, 2002}})});
    log.Batch("b", 1, {LogWriter::Samples({{1, 2003}})});
    log.Next();
    log.Next();
    REQUIRE(WriteCheckpoint(Options(&fs, 0)).ok());
    REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
    const Contents contents = ReadContents(&fs);
    CHECK(contents.samples.count({1, 2000}) == (complete ? 1 : 0));
    CHECK(contents.samples.count({1, 2003}) == 1);
    // The sequence must not be applied a second time.
    CHECK(contents.applied.count("a") == (complete ? 1 : 0));
  }
}

TEST_CASE("A batch that is still being written puts the checkpoint off") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  std::string header;
  wal::EncodeBatchHeader({3, "a", 5}, &header);
  log.Log({LogWriter::Series(1, "m"), header, LogWriter::Samples({{1, 2000}})});
  log.Next();
  CHECK(WriteCheckpoint(Options(&fs, 0)).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(!wal::LastCheckpoint(&fs, kLog).value());
}

TEST_CASE("The last truncation stays before the samples that came after it") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  log.Log({LogWriter::Series(1, "m"), LogWriter::Samples({{1, 900}})});
  log.Truncate({600, 8});
  log.Log({LogWriter::Samples({{1, 950}})});
  log.Truncate({1200, 16});
  log.Log({LogWriter::Samples({{1, 1100}})});  // A late one.
  log.Next();
  log.Log({LogWriter::Samples({{1, 1300}})});
  log.Next();
  log.Next();
  REQUIRE(WriteCheckpoint(Options(&fs, 3)).ok());
  REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
  CHECK(ReadContents(&fs).order == std::vector<std::string>{"truncation 1200", "sample 1100",
                                                            "sample 1300", "truncation 1200",
                                                            "truncation 1200"});
}

TEST_CASE("A damaged segment is named, and the log stays as it is") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  log.Batch("a", 1, {LogWriter::Series(1, "m"), LogWriter::Samples({{1, 2000}})});
  log.Next();
  log.Next();
  fs.Corrupt("/data/wal/00000000", fs.FileSize("/data/wal/00000000").value() / 2, 0x04);
  const std::vector<std::string> names = fs.List(kLog).value();
  const absl::Status status = WriteCheckpoint(Options(&fs, 0)).status();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(Message(status).find("/data/wal/00000000") != std::string::npos);
  CHECK(fs.List(kLog).value() == names);
}

TEST_CASE("A checkpoint that is stopped leaves nothing behind") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  log.Batch("a", 1, {LogWriter::Series(1, "m")});
  log.Next();
  log.Next();
  CheckpointOptions options = Options(&fs, 0);
  options.pause = [] { return absl::CancelledError("stopped"); };
  const std::vector<std::string> names = fs.List(kLog).value();
  CHECK(WriteCheckpoint(options).status().code() == absl::StatusCode::kCancelled);
  CHECK(fs.List(kLog).value() == names);
}

TEST_CASE("Whatever operation of the disk fails while the log is shortened, nothing is lost") {
  for (const bool power_loss : {false, true}) {
    for (const bool partial : {false, true}) {
      bool finished = false;
      for (uint64_t step = 1; !finished; ++step) {
        INFO("step " << step << " power loss " << power_loss << " partial " << partial);
        FaultFileSystem fs;
        auto log = std::make_unique<LogWriter>(&fs);
        for (uint64_t i = 1; i <= 6; ++i) {
          log->Batch("a", i,
                     {LogWriter::Series(i, StrCat("m", i)), LogWriter::Samples({{i, 2000}})});
          log->Next();
        }
        // A checkpoint from before, so that this one has it for an input.
        REQUIRE(WriteCheckpoint(Options(&fs, 1)).ok());
        REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
        log.reset();
        const std::vector<wal::Segment> segments = wal::ListSegments(&fs, kLog).value();
        for (const wal::Segment& segment : segments) {
          REQUIRE(fs.OpenAppend(segment.path).value()->Sync().ok());
        }
        const Contents before = ReadContents(&fs);
        fs.FailFrom(fs.operations() + step, absl::InternalError("i/o error"), partial);
        finished = WriteCheckpoint(Options(&fs, 4)).ok() && DeleteCoveredSegments(&fs, kLog).ok();
        fs.FailFrom(0, absl::OkStatus());
        if (power_loss) {
          fs.PowerLoss();
        } else {
          fs.ProcessCrash();
        }
        const Contents after = ReadContents(&fs);
        CHECK(after.series == before.series);
        CHECK(after.samples == before.samples);
        CHECK(after.applied == before.applied);
        CHECK(after.marker.has_value());
        // And the next start tidies up and goes on.
        REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
        if (wal::LastCheckpoint(&fs, kLog).value()->segment < 4) {
          REQUIRE(WriteCheckpoint(Options(&fs, 4)).ok());
        }
        REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
        CHECK(ReadContents(&fs).samples == before.samples);
        const std::vector<std::string> names = fs.List(kLog).value();
        for (const std::string& name : names) CHECK(!name.ends_with(".tmp"));
      }
    }
  }
}

TEST_CASE("Two thirds of the ended segments are worth a checkpoint, as upstream") {
  FaultFileSystem fs;
  LogWriter log(&fs);
  const auto chosen = [&] { return SegmentsToCheckpoint(&fs, kLog, log.segment()).value(); };
  const std::optional<uint64_t> expected[] = {std::nullopt, std::nullopt, std::nullopt, 1, 2, 2, 3};
  for (const std::optional<uint64_t>& last : expected) {
    CHECK(chosen() == last);
    log.Next();
  }
  REQUIRE(WriteCheckpoint(Options(&fs, 3)).ok());
  // Whether or not the covered segments are deleted yet.
  CHECK(chosen() == uint64_t{5});
  REQUIRE(DeleteCoveredSegments(&fs, kLog).ok());
  CHECK(chosen() == uint64_t{5});
}

}  // namespace
}  // namespace narthex::tsdb
