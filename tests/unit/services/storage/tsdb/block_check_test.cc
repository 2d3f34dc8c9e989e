// The check finds every kind of damage, and the repair keeps all that is sound.
#include "services/storage/tsdb/block_check.h"

#include "services/storage/tsdb/chunks/writer.h"
#include "tests/unit/services/storage/tsdb/block_fixture.h"
#include "tests/unit/services/storage/tsdb/index/index_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr char kQuarantine[] = "/data/quarantine";

struct Fixture {
  FaultFileSystem fs;
  Content content = RandomContent(31, 25);
  BlockMeta meta;
  std::string directory;

  Fixture() {
    REQUIRE(fs.CreateDirectories(kParent).ok());
    BlockWriterOptions options;
    options.segment_size_bytes = 1200;
    auto written = WriteContent(&fs, content, BaseMeta(), options);
    REQUIRE(written.ok());
    meta = *written;
    directory = io::JoinPath(kParent, meta.ulid);
  }
  std::string Path(std::string_view name) const { return io::JoinPath(directory, name); }
  BlockReport Check() {
    BlockReport report;
    REQUIRE(CheckBlock(&fs, directory, &report).ok());
    return report;
  }
  std::shared_ptr<Block> Open(const std::string& path) {
    auto block = Block::Open(&fs, path);
    INFO(block.status().message());
    REQUIRE(block.ok());
    return *block;
  }
};

TEST_CASE("A sound block has no problems") {
  Fixture fixture;
  const BlockReport report = fixture.Check();
  for (const std::string& problem : report.problems) INFO(problem);
  CHECK(report.ok());
  CHECK(report.series == fixture.meta.stats.series);
  CHECK(report.chunks == fixture.meta.stats.chunks);
  CHECK(report.samples == fixture.meta.stats.samples);
  CHECK(report.chunks_lost == 0);
  BlockReport nowhere;
  CHECK_FALSE(CheckBlock(&fixture.fs, "/data/absent", &nowhere).ok());
}

TEST_CASE("Every flipped byte is found, or the content is what it was, and repair keeps the rest") {
  for (const char* name : {"index", "chunks/000001", "chunks/000002", "tombstones"}) {
    const size_t size = [&] {
      Fixture fixture;
      return static_cast<size_t>(fixture.fs.FileSize(fixture.Path(name)).value());
    }();
    // Not every place of the long files, but all of their ends.
    const size_t step = size > 400 ? 13 : 1;
    for (size_t i = 0; i < size; i += (i < 64 || i + 80 > size) ? 1 : step) {
      Fixture fixture;
      fixture.fs.Corrupt(fixture.Path(name), i, 0x08);
      const BlockReport report = fixture.Check();
      INFO(name << " byte " << i);
      if (report.ok()) {
        CHECK(ReadContent(*fixture.Open(fixture.directory)) == fixture.content);
        continue;
      }
      BlockReport repair;
      const auto repaired = RepairBlock(&fixture.fs, fixture.directory, kQuarantine, &repair);
      REQUIRE(repaired.ok());
      CHECK(fixture.fs.Exists(io::JoinPath(kQuarantine, fixture.meta.ulid)));
      CHECK_FALSE(fixture.fs.Exists(fixture.directory));
      if (repaired->empty()) {
        CHECK(std::string_view(name) == "index");  // Its symbols.
        continue;
      }
      const Content saved = ReadContent(*fixture.Open(*repaired));
      size_t lost = 0;
      for (const auto& [labels, samples] : fixture.content) {
        const auto found = saved.find(labels);
        const size_t left = found == saved.end() ? 0 : found->second.size();
        lost += samples.size() - left;
      }
      // One series, or one chunk, at most: nothing is invented.
      CHECK(lost <= 50);
      for (const auto& [labels, samples] : saved) {
        for (const auto& [time, value] : samples) {
          CHECK(fixture.content[labels][time] == value);
        }
      }
      BlockReport again;
      REQUIRE(CheckBlock(&fixture.fs, *repaired, &again).ok());
      CHECK(again.ok());
    }
  }
}

TEST_CASE("What is missing altogether is named, and what is left is saved") {
  struct Case {
    const char* file;
    bool saved;
    bool complete;
  };
  for (const Case& one : std::vector<Case>{{"meta.json", true, true},
                                           {"index", false, false},
                                           {"chunks/000001", true, false},
                                           {"chunks", false, false}}) {
    Fixture fixture;
    REQUIRE(fixture.fs.RemoveAll(fixture.Path(one.file)).ok());
    INFO(one.file);
    CHECK_FALSE(fixture.Check().ok());
    BlockReport report;
    const auto repaired = RepairBlock(&fixture.fs, fixture.directory, kQuarantine, &report);
    REQUIRE(repaired.ok());
    CHECK(repaired->empty() == !one.saved);
    if (!one.saved) continue;
    const Content saved = ReadContent(*fixture.Open(*repaired));
    CHECK((saved == fixture.content) == one.complete);
    CHECK((report.chunks_lost > 0) == !one.complete);
  }
}

TEST_CASE("Deletions survive a repair") {
  Fixture fixture;
  const std::vector<Matcher> matchers = {Matcher::Equal("job", "job-1")};
  REQUIRE(
      fixture.Open(fixture.directory)->Delete(matchers, kBlockStart, kBlockStart + 90'000).ok());
  const Content left = ReadContent(*fixture.Open(fixture.directory));
  REQUIRE(left != fixture.content);
  CHECK(fixture.Check().ok());
  // Only the end of the index is damaged, so that all series are found.
  const size_t size = static_cast<size_t>(fixture.fs.FileSize(fixture.Path("index")).value());
  fixture.fs.Corrupt(fixture.Path("index"), size - 1, 1);
  BlockReport report;
  const auto repaired = RepairBlock(&fixture.fs, fixture.directory, kQuarantine, &report);
  REQUIRE(repaired.ok());
  const std::shared_ptr<Block> block = fixture.Open(*repaired);
  CHECK(ReadContent(*block) == left);
  CHECK(block->meta().stats.tombstones == block->tombstones());
  CHECK(block->meta().min_time == fixture.meta.min_time);
  CHECK(block->meta().max_time == fixture.meta.max_time);
}

TEST_CASE("What the files say of each other must agree") {
  SECTION("a count in meta.json") {
    Fixture fixture;
    BlockMeta meta = fixture.meta;
    ++meta.stats.samples;
    REQUIRE(fixture.fs.WriteFileAtomically(fixture.Path("meta.json"), FormatBlockMeta(meta)).ok());
    const BlockReport report = fixture.Check();
    REQUIRE(report.problems.size() == 1);
    CHECK(report.problems[0].find("samples") != std::string::npos);
  }
  SECTION("the range in meta.json") {
    Fixture fixture;
    BlockMeta meta = fixture.meta;
    meta.max_time = meta.min_time + 1;
    REQUIRE(fixture.fs.WriteFileAtomically(fixture.Path("meta.json"), FormatBlockMeta(meta)).ok());
    const BlockReport report = fixture.Check();
    REQUIRE_FALSE(report.ok());
    CHECK(report.problems[0].find("outside of the block") != std::string::npos);
    BlockReport repair;
    const auto repaired = RepairBlock(&fixture.fs, fixture.directory, kQuarantine, &repair);
    REQUIRE(repaired.ok());
    CHECK(ReadContent(*fixture.Open(*repaired)) == fixture.content);
  }
  SECTION("tombstones of a series that is not there") {
    Fixture fixture;
    REQUIRE(fixture.fs
                .WriteFileAtomically(fixture.Path("tombstones"),
                                     std::string("\x01\x30\xba\x30\x01\x01\x02\x04"
                                                 "\x9f\x0b\x6a\xe1",
                                                 12))
                .ok());
    CHECK_FALSE(fixture.Check().ok());
  }
}

// As some versions of Prometheus left them behind: the index says so, and nothing else is wrong.
TEST_CASE("Chunks that overlap are found, read in order, and made to follow one another") {
  FaultFileSystem fs;
  const std::string directory = io::JoinPath(kParent, "01M7WJYB51E6B8QG907DG520P4");
  const std::string chunks_directory = io::JoinPath(directory, "chunks");
  REQUIRE(fs.CreateDirectories(chunks_directory).ok());
  auto chunks = chunks::Writer::Create(&fs, chunks_directory, {});
  REQUIRE(chunks.ok());
  const OwnedChunk late = XorChunk({{50, 5}, {70, 7}, {90, 9}});
  const OwnedChunk early = XorChunk({{10, 1}, {60, 6}, {70, 777}});
  const uint64_t late_reference = (*chunks)->Add(late.chunk.encoding, late.bytes).value();
  const uint64_t early_reference = (*chunks)->Add(early.chunk.encoding, early.bytes).value();
  REQUIRE((*chunks)->Finish().ok());

  // Version 1, whose writer of the tests takes everything.
  const std::string index = index::WriteIndexVersion1(
      {{{{"a", "b"}}, {{50, 90, late_reference}, {10, 70, early_reference}}}});
  REQUIRE(fs.WriteFileAtomically(io::JoinPath(directory, "index"), index).ok());
  BlockMeta meta;
  meta.ulid = "01M7WJYB51E6B8QG907DG520P4";
  meta.max_time = 100;
  meta.stats = {6, 6, 0, 1, 2, 0};
  REQUIRE(fs.WriteFileAtomically(io::JoinPath(directory, "meta.json"), FormatBlockMeta(meta)).ok());

  BlockReport report;
  REQUIRE(CheckBlock(&fs, directory, &report).ok());
  REQUIRE(report.problems.size() == 1);
  CHECK(report.problems[0].find("overlaps the one before") != std::string::npos);

  auto block = Block::Open(&fs, directory);
  REQUIRE(block.ok());
  std::vector<BlockChunk> metas;
  const std::vector<BlockSeries> all = (*block)->Select({}).value();
  REQUIRE(all.size() == 1);
  REQUIRE((*block)->ReadSeries(all[0], nullptr, &metas).ok());
  REQUIRE(metas.size() == 2);
  CHECK(metas[0].min_time == 10);

  BlockReport repair;
  const auto repaired = RepairBlock(&fs, directory, kQuarantine, &repair);
  REQUIRE(repaired.ok());
  REQUIRE_FALSE(repaired->empty());
  CHECK(repair.chunks_lost == 0);
  BlockReport again;
  REQUIRE(CheckBlock(&fs, *repaired, &again).ok());
  CHECK(again.ok());
  const Content expected = {{Labels{{"a", "b"}}, {{10, 1}, {50, 5}, {60, 6}, {70, 777}, {90, 9}}}};
  CHECK(ReadContent(**Block::Open(&fs, *repaired)) == expected);
}

TEST_CASE("A repair that fails leaves the damaged block where it is") {
  for (uint64_t operation = 1;; ++operation) {
    Fixture fixture;
    fixture.fs.Corrupt(fixture.Path("chunks/000001"), 30, 1);
    fixture.fs.FailOnce(fixture.fs.operations() + operation,
                        absl::ResourceExhaustedError("disk full"));
    BlockReport report;
    const auto repaired = RepairBlock(&fixture.fs, fixture.directory, kQuarantine, &report);
    if (repaired.ok()) {
      CHECK(operation > 10);
      break;
    }
    const bool here = fixture.fs.Exists(fixture.directory);
    const bool there = fixture.fs.Exists(io::JoinPath(kQuarantine, fixture.meta.ulid));
    CHECK(here != there);
  }
}

TEST_CASE("Problems are listed up to a number, and then counted") {
  BlockReport report;
  for (size_t i = 0; i < BlockReport::kProblemsMax + 5; ++i) report.Add("problem");
  CHECK(report.problems.size() == BlockReport::kProblemsMax);
  CHECK(report.problems_more == 5);
}

}  // namespace
}  // namespace narthex::tsdb
