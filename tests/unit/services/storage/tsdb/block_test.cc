// Blocks: written, opened, asked, deleted from, and interrupted at every operation of the disk.
#include "services/storage/tsdb/block.h"

#include <algorithm>
#include <set>

#include "lib/base/thread.h"
#include "lib/chunkenc/chunk_writer.h"
#include "services/storage/tsdb/block_check.h"
#include "tests/unit/services/storage/tsdb/block_fixture.h"
#include "tests/unit/services/storage/tsdb/golden_block.h"

namespace narthex::tsdb {
namespace {

std::string WriteGolden(io::FileSystem* fs) {
  const std::string directory = io::JoinPath(kParent, kGoldenUlid);
  REQUIRE(fs->CreateDirectories(io::JoinPath(directory, "chunks")).ok());
  const auto write = [&](std::string_view name, std::string_view bytes) {
    REQUIRE(fs->WriteFileAtomically(io::JoinPath(directory, name), bytes).ok());
  };
  write("index", FromHex(kGoldenIndex));
  write("chunks/000001", FromHex(kGoldenChunks));
  write("tombstones", FromHex(kGoldenTombstones));
  write("meta.json", kGoldenMeta);
  return directory;
}

std::vector<std::string> Dump(const Content& content) {
  std::vector<std::string> lines;
  for (const auto& [labels, samples] : content) {
    for (const auto& [time, value] : samples) {
      std::string number = value != value ? "NaN" : StrCat(value);
      lines.push_back(StrCat(labels.ToString(), " ", number, " ", time));
    }
  }
  return lines;
}

std::shared_ptr<Block> MustOpen(io::FileSystem* fs, std::string_view ulid) {
  auto block = Block::Open(fs, io::JoinPath(kParent, ulid));
  INFO(block.status().message());
  REQUIRE(block.ok());
  return *block;
}

TEST_CASE("A block of Prometheus says what promtool says of it") {
  FaultFileSystem fs;
  WriteGolden(&fs);
  const std::shared_ptr<Block> block = MustOpen(&fs, kGoldenUlid);
  CHECK(block->meta().ulid == kGoldenUlid);
  CHECK(block->meta().min_time == 1700006400000);
  CHECK(block->meta().max_time == 1700006430001);
  CHECK(block->tombstones() == 2);
  CHECK(block->size_bytes() == kGoldenIndex.size() / 2 + kGoldenChunks.size() / 2 +
                                   kGoldenTombstones.size() / 2 + kGoldenMeta.size());
  CHECK(Dump(ReadContent(*block)) == GoldenDump());

  const std::vector<Matcher> up = {Matcher::Equal("__name__", "up")};
  const auto selected = block->Select(up);
  REQUIRE(selected.ok());
  CHECK(*selected == std::vector<BlockSeries>{12, 14});
  CHECK(block->Deleted(14).size() == 1);
  CHECK(block->Deleted(12).empty());
  CHECK(block->LabelNames({}).value() ==
        std::vector<std::string>{"__name__", "code", "job", "note"});
  CHECK(block->LabelNames(up).value() == std::vector<std::string>{"__name__", "job", "note"});
  CHECK(block->LabelValues("job", {}).value() == std::vector<std::string>{"api", "db"});
  CHECK(block->LabelValues("code", up).value().empty());
  CHECK(block->LabelValues("note", up).value() == std::vector<std::string>{"ä \"q\""});
}

TEST_CASE("What a block was given it gives back, after a power loss too") {
  for (const size_t series : {1, 7, 300}) {
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories(kParent).ok());
    const Content content = RandomContent(static_cast<uint32_t>(series), series);
    uint64_t paced = 0;
    BlockWriterOptions options;
    options.segment_size_bytes = 2000;
    options.index = {.postings_batch = 100, .buffer_size_bytes = 1000};
    options.pace = [&paced](uint64_t bytes) {
      paced += bytes;
      return absl::OkStatus();
    };
    const auto meta = WriteContent(&fs, content, BaseMeta(), options);
    INFO(meta.status().message());
    REQUIRE(meta.ok());
    fs.PowerLoss();
    CHECK(fs.List(kParent).value() == std::vector<std::string>{meta->ulid});
    const std::shared_ptr<Block> block = MustOpen(&fs, meta->ulid);
    CHECK(ReadContent(*block) == content);
    uint64_t samples = 0;
    uint64_t chunks = 0;
    for (const auto& [labels, of_series] : content) {
      samples += of_series.size();
      chunks += (of_series.size() + 19) / 20;
    }
    CHECK(block->meta().stats.series == series);
    CHECK(block->meta().stats.samples == samples);
    CHECK(block->meta().stats.float_samples == samples);
    CHECK(block->meta().stats.histogram_samples == 0);
    CHECK(block->meta().stats.chunks == chunks);
    CHECK(block->meta().compaction.sources == std::vector<std::string>{meta->ulid});
    CHECK(FormatBlockMeta(block->meta()) == FormatBlockMeta(*meta));
    if (series == 300) CHECK(paced > 0);
  }
}

TEST_CASE("Chunks of every encoding go through a block, and are counted by what they hold") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  auto writer = BlockWriter::Create(&fs, kParent, BaseMeta());
  REQUIRE(writer.ok());
  std::vector<chunkenc::FinishedChunk> written;
  for (const bool start_timestamps : {false, true}) {
    chunkenc::ChunkWriter chunks({.start_timestamps = start_timestamps});
    Timestamp time = kBlockStart + (start_timestamps ? 1'000'000 : 0);
    const Timestamp start = start_timestamps ? kBlockStart - 5 : 0;
    for (int i = 0; i < 30; ++i) chunks.Append(time += 100, i * 0.5, start);
    for (int i = 0; i < 30; ++i) {
      Histogram histogram;
      histogram.count = static_cast<uint64_t>(3 * i + 3);
      histogram.sum = i;
      histogram.positive_spans = {{0, 2}};
      histogram.positive_deltas = {i + 1, i + 1};
      chunks.Append(time += 100, histogram, start);
    }
    for (int i = 0; i < 30; ++i) {
      FloatHistogram histogram;
      histogram.count = 3.5 * i;
      histogram.sum = i;
      histogram.negative_spans = {{0, 1}};
      histogram.negative_buckets = {3.5 * i};
      chunks.Append(time += 100, histogram, start);
    }
    for (chunkenc::FinishedChunk& chunk : chunks.Finish()) written.push_back(std::move(chunk));
  }
  REQUIRE(written.size() == 6);
  std::vector<storage::SelectChunk> views;
  std::set<chunkenc::Encoding> encodings;
  for (const chunkenc::FinishedChunk& chunk : written) {
    views.push_back({chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples, chunk.bytes});
    encodings.insert(chunk.encoding);
  }
  CHECK(encodings.size() == 6);
  REQUIRE((*writer)->Add(Views(Labels{{"a", "1"}}), views).ok());
  const auto meta = (*writer)->Finish();
  REQUIRE(meta.ok());
  CHECK(meta->stats.samples == 180);
  CHECK(meta->stats.float_samples == 60);
  CHECK(meta->stats.histogram_samples == 120);

  BlockReport report;
  REQUIRE(CheckBlock(&fs, io::JoinPath(kParent, meta->ulid), &report).ok());
  for (const std::string& problem : report.problems) FAIL_CHECK(problem);
  CHECK(report.samples == 180);
  const std::shared_ptr<Block> block = MustOpen(&fs, meta->ulid);
  const auto source = block->Source(-kEver, kEver);
  REQUIRE(source->Next().value());
  REQUIRE(source->chunks().size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    CHECK(source->chunks()[i].encoding == written[i].encoding);
    CHECK(source->chunks()[i].bytes == written[i].bytes);
    CHECK(source->chunks()[i].visible_samples == written[i].samples);
  }
}

TEST_CASE("A source gives the chunks that overlap its times, and only series that have some") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  const Content content = {
      {Labels{{"a", "1"}}, {{kBlockStart, 1}, {kBlockStart + 100, 2}}},
      {Labels{{"a", "2"}}, {{kBlockStart + 200, 3}}},
  };
  const auto meta = WriteContent(&fs, content, BaseMeta());
  REQUIRE(meta.ok());
  const std::shared_ptr<Block> block = MustOpen(&fs, meta->ulid);
  CHECK(ReadSource(block->Source(kBlockStart + 100, kBlockStart + 199).get()).size() == 1);
  CHECK(ReadSource(block->Source(kBlockStart + 101, kBlockStart + 199).get()).empty());
  CHECK(ReadSource(block->Source(kBlockStart + 100, kBlockStart + 200).get()) == content);
}

TEST_CASE("Names and values of matching series are those of the obvious") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  const Content content = RandomContent(9, 200);
  const auto meta = WriteContent(&fs, content, BaseMeta());
  REQUIRE(meta.ok());
  const std::shared_ptr<Block> block = MustOpen(&fs, meta->ulid);
  for (const Matcher& matcher :
       {Matcher::Equal("job", "job-1"), Matcher::Equal("id", "7"), Matcher::Equal("id", ""),
        Matcher::Create(MatchType::kRegex, "__name__", "metric_[12]").value()}) {
    std::set<std::string> ids;
    std::set<std::string> jobs;
    size_t matching = 0;
    for (const auto& [labels, samples] : content) {
      if (!matcher.Matches(labels.Get(matcher.name()))) continue;
      ++matching;
      ids.emplace(labels.Get("id"));
      jobs.emplace(labels.Get("job"));
    }
    const std::vector<Matcher> matchers = {matcher};
    CHECK(block->Select(matchers).value().size() == matching);
    CHECK(block->LabelValues("id", matchers).value() ==
          std::vector<std::string>(ids.begin(), ids.end()));
    CHECK(block->LabelValues("job", matchers).value() ==
          std::vector<std::string>(jobs.begin(), jobs.end()));
    CHECK(block->LabelNames(matchers).value().size() == (matching > 0 ? 3 : 0));
  }
}

TEST_CASE("Deletions hold over restarts, add up, and name only what is there") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  Content content = RandomContent(10, 50);
  const auto meta = WriteContent(&fs, content, BaseMeta());
  REQUIRE(meta.ok());
  // Another program's mark must survive.
  const std::string meta_path = io::JoinPath(io::JoinPath(kParent, meta->ulid), "meta.json");
  BlockMeta marked = *meta;
  marked.others.emplace_back("thanos", "{\"labels\": {}}");
  REQUIRE(fs.WriteFileAtomically(meta_path, FormatBlockMeta(marked)).ok());

  std::mt19937 random(12);
  std::shared_ptr<Block> block = MustOpen(&fs, meta->ulid);
  for (int round = 0; round < 30; ++round) {
    const Matcher matcher = Matcher::Equal("job", StrCat("job-", random() % 4));
    const std::vector<Matcher> matchers = {matcher};
    const Timestamp min_time = kBlockStart - 10000 + static_cast<Timestamp>(random() % 7'200'000);
    const Timestamp max_time = min_time + static_cast<Timestamp>(random() % 300'000);
    REQUIRE(block->Delete(matchers, min_time, max_time).ok());
    for (auto& [labels, samples] : content) {
      if (!matcher.Matches(labels.Get(matcher.name()))) continue;
      samples.erase(samples.lower_bound(min_time), samples.upper_bound(max_time));
    }
    if (round % 3 == 0) {
      fs.PowerLoss();
      block = MustOpen(&fs, meta->ulid);
      CHECK(block->meta().stats.tombstones == block->tombstones());
      CHECK(block->meta().others == marked.others);
    }
    Content left = content;
    std::erase_if(left, [](const auto& series) { return series.second.empty(); });
    REQUIRE(ReadContent(*block) == left);
  }
  CHECK(absl::IsInvalidArgument(block->Delete({}, 5, 4)));
  REQUIRE(block->Delete({}, -kEver, kEver).ok());
  CHECK(ReadContent(*block).empty());
  CHECK(block->tombstones() == 50);
  // Cut to the times of the series.
  const std::vector<BlockSeries> all = block->Select({}).value();
  for (const BlockSeries series : all) {
    REQUIRE(block->Deleted(series).size() == 1);
    CHECK(block->Deleted(series)[0].min_time >= kBlockStart);
    CHECK(block->Deleted(series)[0].max_time < kBlockEnd);
  }
}

TEST_CASE("A deletion that is interrupted happened as a whole or not at all") {
  const Content before = RandomContent(16, 10);
  const std::vector<Matcher> matchers = {Matcher::Equal("job", "job-1")};
  Content after = before;
  for (auto& [labels, samples] : after) {
    if (labels.Get("job") == "job-1") samples.clear();
  }
  std::erase_if(after, [](const auto& series) { return series.second.empty(); });
  REQUIRE(after != before);
  size_t happened = 0;
  for (uint64_t operation = 1;; ++operation) {
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories(kParent).ok());
    const BlockMeta base = BaseMeta();
    REQUIRE(WriteContent(&fs, before, base).ok());
    const std::shared_ptr<Block> block = MustOpen(&fs, base.ulid);
    fs.FailFrom(fs.operations() + operation, absl::InternalError("dead disk"), true);
    const absl::Status status = block->Delete(matchers, kBlockStart, kBlockEnd);
    const Content seen = ReadContent(*block);
    fs.FailFrom(0, absl::OkStatus());
    operation % 2 == 0 ? fs.PowerLoss() : fs.ProcessCrash();
    const Content kept = ReadContent(*MustOpen(&fs, base.ulid));
    const bool whole = kept == before || kept == after;
    CHECK(whole);
    // What readers have seen deleted stays so.
    if (seen == after) CHECK(kept == after);
    if (kept == after) ++happened;
    if (!status.ok()) continue;
    CHECK(kept == after);
    CHECK(operation > 5);
    break;
  }
  CHECK(happened > 1);  // Once the tombstones are there, meta.json may fail.
}

TEST_CASE("Readers see deletions as a whole") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  const auto meta = WriteContent(&fs, RandomContent(11, 60), BaseMeta());
  REQUIRE(meta.ok());
  const std::shared_ptr<Block> block = MustOpen(&fs, meta->ulid);
  const std::vector<BlockSeries> all = block->Select({}).value();
  Thread writer("deleter", [&] {
    for (int i = 0; i < 20; ++i) {
      const std::vector<Matcher> matchers = {Matcher::Equal("job", StrCat("job-", i % 3))};
      block->Delete(matchers, kBlockStart + i * 100'000, kBlockStart + i * 100'000 + 50'000)
          .IgnoreError();
    }
  });
  for (int round = 0; round < 50; ++round) {
    const uint64_t before = block->tombstones();
    for (const BlockSeries series : all) {
      for (const storage::DeletedInterval& interval : block->Deleted(series)) {
        REQUIRE(interval.min_time <= interval.max_time);
      }
    }
    CHECK(block->Select(std::vector<Matcher>{Matcher::Equal("job", "job-0")}).ok());
    CHECK(before <= 60 * 20);
  }
  writer.Join();
}

TEST_CASE("A writer refuses what is no block, and leaves nothing behind") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  const Labels a{{"a", "1"}};
  struct Case {
    std::string_view reason;
    std::vector<std::pair<Timestamp, double>> samples;
    uint32_t stated;
  };
  for (const Case& one : std::vector<Case>{
           {"not within the block", {{kBlockStart - 1, 1}}, 1},
           {"not within the block", {{kBlockStart, 1}, {kBlockEnd, 1}}, 2},
           {"is not 1 as a whole", {{kBlockStart, 1}, {kBlockStart + 1, 1}}, 1},
       }) {
    auto writer = BlockWriter::Create(&fs, kParent, BaseMeta());
    REQUIRE(writer.ok());
    OwnedChunk owned = XorChunk(one.samples);
    owned.chunk.visible_samples = one.stated;
    const absl::Status status = AddSeries(writer->get(), a, {owned});
    REQUIRE(absl::IsInvalidArgument(status));
    INFO(Message(status));
    CHECK(Message(status).find(one.reason) != std::string_view::npos);
    CHECK(Message(status).find("{a=\"1\"}") != std::string_view::npos);
    CHECK_FALSE((*writer)->Finish().ok());
  }
  BlockMeta base = BaseMeta();
  base.ulid = "x";
  CHECK(absl::IsInvalidArgument(BlockWriter::Create(&fs, kParent, base).status()));
  base = BaseMeta();
  base.max_time = base.min_time;
  CHECK(absl::IsInvalidArgument(BlockWriter::Create(&fs, kParent, base).status()));
  CHECK(fs.List(kParent).value().empty());

  base = BaseMeta();
  REQUIRE(WriteContent(&fs, RandomContent(1, 3), base).ok());
  CHECK(absl::IsAlreadyExists(BlockWriter::Create(&fs, kParent, base).status()));
}

TEST_CASE("A block without series is not written") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  {
    auto writer = BlockWriter::Create(&fs, kParent, BaseMeta());
    REQUIRE(writer.ok());
    CHECK((*writer)->Add(Views(Labels{{"a", "1"}}), {}).ok());
    const auto meta = (*writer)->Finish();
    REQUIRE(meta.ok());
    CHECK(meta->stats.series == 0);
  }
  CHECK(fs.List(kParent).value().empty());
}

TEST_CASE("Pace that is refused ends the writing") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  BlockWriterOptions options;
  options.index.buffer_size_bytes = 100;
  options.pace = [](uint64_t) { return absl::CancelledError("stopping"); };
  CHECK(absl::IsCancelled(WriteContent(&fs, RandomContent(2, 30), BaseMeta(), options).status()));
  CHECK(fs.List(kParent).value().empty());
}

TEST_CASE("Whatever operation fails, there is the whole block or none") {
  const Content content = RandomContent(13, 12);
  const BlockMeta base = BaseMeta();
  BlockWriterOptions options;
  options.segment_size_bytes = 700;
  options.index.buffer_size_bytes = 400;
  for (const bool power_loss : {false, true}) {
    uint64_t operation = 1;
    for (;; ++operation) {
      FaultFileSystem fs;
      REQUIRE(fs.CreateDirectories(kParent).ok());
      REQUIRE(fs.SyncDirectory("/").ok());
      const uint64_t before = fs.operations();
      fs.FailFrom(before + operation, absl::InternalError("dead disk"), operation % 2 == 0);
      const auto meta = WriteContent(&fs, content, base, options);
      const bool reached = fs.operations() >= before + operation;
      fs.FailFrom(0, absl::OkStatus());
      power_loss ? fs.PowerLoss() : fs.ProcessCrash();
      const auto left = fs.List(kParent);
      REQUIRE(left.ok());
      bool whole = false;
      for (const std::string& name : *left) {
        const bool leftover = name == base.ulid + std::string(kCreationSuffix) ||
                              name == base.ulid + std::string(kDeletionSuffix);
        if (leftover) continue;
        REQUIRE(name == base.ulid);
        whole = true;
        CHECK(ReadContent(*MustOpen(&fs, name)) == content);
      }
      if (meta.ok()) CHECK(whole);
      if (!reached) break;
    }
    CHECK(operation > 20);
  }
}

TEST_CASE("A full disk for a moment leaves nothing, and the next attempt succeeds") {
  const Content content = RandomContent(14, 12);
  const BlockMeta base = BaseMeta();
  for (uint64_t operation = 1;; ++operation) {
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories(kParent).ok());
    const uint64_t before = fs.operations();
    fs.FailOnce(before + operation, absl::ResourceExhaustedError("disk full"), true);
    const auto meta = WriteContent(&fs, content, base);
    if (meta.ok()) {
      CHECK(operation > 15);
      break;
    }
    CHECK(absl::IsResourceExhausted(meta.status()));
    CHECK(fs.List(kParent).value().empty());
    REQUIRE(WriteContent(&fs, content, base).ok());
    CHECK(ReadContent(*MustOpen(&fs, base.ulid)) == content);
  }
}

TEST_CASE("A removal that is interrupted leaves the whole block or a leftover") {
  const Content content = RandomContent(15, 5);
  for (uint64_t operation = 1; operation < 5; ++operation) {
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories(kParent).ok());
    const BlockMeta base = BaseMeta();
    REQUIRE(WriteContent(&fs, content, base).ok());
    fs.FailFrom(fs.operations() + operation, absl::InternalError("dead disk"));
    const absl::Status status = RemoveBlock(&fs, io::JoinPath(kParent, base.ulid));
    fs.FailFrom(0, absl::OkStatus());
    fs.PowerLoss();
    const std::vector<std::string> names = fs.List(kParent).value();
    for (const std::string& name : names) {
      if (name != base.ulid) continue;
      CHECK_FALSE(status.ok());
      CHECK(ReadContent(*MustOpen(&fs, name)) == content);
    }
  }
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kParent).ok());
  const BlockMeta base = BaseMeta();
  REQUIRE(WriteContent(&fs, content, base).ok());
  REQUIRE(RemoveBlock(&fs, io::JoinPath(kParent, base.ulid)).ok());
  CHECK(fs.List(kParent).value().empty());
}

TEST_CASE("A block whose files are damaged or missing does not open, or names the place") {
  FaultFileSystem fs;
  const std::string directory = WriteGolden(&fs);
  for (const char* name : {"index", "meta.json", "chunks"}) {
    FaultFileSystem other;
    WriteGolden(&other);
    REQUIRE(other.RemoveAll(io::JoinPath(directory, name)).ok());
    const auto block = Block::Open(&other, directory);
    CHECK_FALSE(block.ok());
    CHECK(Message(block.status()).find(kGoldenUlid) != std::string_view::npos);
  }
  fs.Corrupt(io::JoinPath(directory, "chunks/000001"), 20, 1);
  const std::shared_ptr<Block> block = MustOpen(&fs, kGoldenUlid);
  const auto source = block->Source(-kEver, kEver);
  const auto next = source->Next();
  REQUIRE(absl::IsDataLoss(next.status()));
  CHECK(Message(next.status()).find("000001: offset 8: chunk checksum") != std::string_view::npos);
  // Others can still be read.
  std::vector<BlockChunk> chunks;
  REQUIRE(block->ReadSeries(12, nullptr, &chunks).ok());
  CHECK(block->ReadChunk(chunks[0]).ok());

  REQUIRE(fs.Remove(io::JoinPath(directory, "tombstones")).ok());
  CHECK(MustOpen(&fs, kGoldenUlid)->tombstones() == 0);
  REQUIRE(fs.WriteFileAtomically(io::JoinPath(directory, "tombstones"), "garbage").ok());
  CHECK(absl::IsDataLoss(Block::Open(&fs, directory).status()));
}

}  // namespace
}  // namespace narthex::tsdb
