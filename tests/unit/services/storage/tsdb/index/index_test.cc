// The index: what was written is read, in both versions, and damage is noticed.
#include <algorithm>

#include "tests/unit/services/storage/tsdb/golden_block.h"
#include "tests/unit/services/storage/tsdb/index/index_fixture.h"

namespace narthex::index {
namespace {

// Everything that the index says, against what went in.
void CheckContents(const Reader& reader, const std::vector<TestSeries>& series) {
  const auto all = reader.AllPostings();
  REQUIRE(all.ok());
  REQUIRE(all->size() == series.size());
  std::map<std::string, std::map<std::string, std::vector<uint32_t>>> expected;
  std::vector<LabelView> labels;
  std::vector<ChunkMeta> chunks;
  for (size_t i = 0; i < series.size(); ++i) {
    const uint32_t number = (*all)[i];
    REQUIRE(reader.ReadSeries(number, &labels, &chunks).ok());
    CHECK(labels == Views(series[i].labels));
    CHECK(chunks == series[i].chunks);
    REQUIRE(reader.ReadSeries(number, nullptr, nullptr).ok());
    for (const auto& [name, value] : series[i].labels) {
      expected[name][value].push_back(number);
      CHECK(reader.LabelValue(number, name).value() == value);
    }
    CHECK(reader.LabelValue(number, "absent").value().empty());
  }
  std::vector<std::string_view> names;
  for (const auto& [name, values] : expected) names.push_back(name);
  CHECK(reader.Names() == names);
  for (const auto& [name, values] : expected) {
    std::vector<std::string> visited;
    CHECK(reader.values(name) == values.size());
    REQUIRE(reader
                .VisitValues(name, "",
                             [&](std::string_view value, uint64_t offset) {
                               visited.emplace_back(value);
                               CHECK(reader.PostingsAt(offset).ok());
                               return true;
                             })
                .ok());
    std::vector<std::string> wanted;
    for (const auto& [value, numbers] : values) {
      wanted.push_back(value);
      const auto list = reader.Postings(name, value);
      REQUIRE(list.ok());
      REQUIRE(list->size() == numbers.size());
      for (size_t i = 0; i < numbers.size(); ++i) CHECK((*list)[i] == numbers[i]);
      CHECK(reader.Postings(name, value + "0").value().size() ==
            (values.count(value + "0") > 0 ? values.at(value + "0").size() : 0));
    }
    CHECK(visited == wanted);
    CHECK(reader.Postings(name, "").value().empty());
  }
  CHECK(reader.Postings("absent", "x").value().empty());
  CHECK(reader.values("absent") == 0);
}

TEST_CASE("An index says what went into it") {
  for (const size_t count : {0, 1, 2, 33, 700}) {
    const std::vector<TestSeries> series = RandomSeries(static_cast<uint32_t>(count), count);
    const std::string file = WriteIndex(series);
    const auto reader = Reader::Open(file);
    REQUIRE(reader.ok());
    CHECK((*reader)->version() == kVersion2);
    CheckContents(**reader, series);
  }
}

TEST_CASE("How much is held in memory does not show in the file") {
  const std::vector<TestSeries> series = RandomSeries(3, 500);
  const std::string file = WriteIndex(series);
  for (const size_t batch : {size_t{1}, size_t{100}, size_t{600}}) {
    CHECK(WriteIndex(series, {.postings_batch = batch, .buffer_size_bytes = 1 + batch / 10}) ==
          file);
  }
}

TEST_CASE("Version 1 says the same") {
  const std::vector<TestSeries> series = RandomSeries(11, 300);
  const std::string file = WriteIndexVersion1(series);
  const auto reader = Reader::Open(file);
  INFO(reader.status().message());
  REQUIRE(reader.ok());
  CHECK((*reader)->version() == kVersion1);
  CheckContents(**reader, series);
}

TEST_CASE("The index of Prometheus is read, and written the same but for its label indices") {
  const std::string golden = tsdb::FromHex(tsdb::kGoldenIndex);
  const auto reader = Reader::Open(golden);
  REQUIRE(reader.ok());
  const auto all = (*reader)->AllPostings();
  REQUIRE(all.ok());
  std::vector<TestSeries> series;
  for (size_t i = 0; i < all->size(); ++i) {
    std::vector<LabelView> labels;
    TestSeries& one = series.emplace_back();
    REQUIRE((*reader)->ReadSeries((*all)[i], &labels, &one.chunks).ok());
    for (const LabelView& label : labels) {
      one.labels.emplace(std::string(label.name), std::string(label.value));
    }
  }
  REQUIRE(series.size() == 5);
  CHECK(series[4].labels == LabelSet{{"__name__", "up"}, {"job", "db"}, {"note", "ä \"q\""}});
  CHECK(series[3].chunks == std::vector<ChunkMeta>{{1700006400000, 1700006415000, 86}});
  CheckContents(**reader, series);

  const std::string ours = WriteIndex(series);
  const size_t series_end = LoadBig<uint64_t>(ours.data() + ours.size() - kTocSize + 16);
  CHECK(ours.substr(0, series_end) == golden.substr(0, series_end));
  // Theirs has label indices between the series and the postings.
  const size_t our_postings = (series_end + 3) / 4 * 4;
  const size_t our_table = LoadBig<uint64_t>(ours.data() + ours.size() - kTocSize + 40);
  const size_t their_postings = LoadBig<uint64_t>(golden.data() + golden.size() - kTocSize + 32);
  CHECK(ours.substr(our_postings, our_table - our_postings) ==
        golden.substr(their_postings, our_table - our_postings));
  CheckContents(**Reader::Open(ours), series);
}

TEST_CASE("The example of format.md is what is written") {
  const std::string file = WriteIndex({{{{"a", "b"}}, {{1, 2, 8}}}});
  CHECK(file == tsdb::FromHex("baaad70002"
                              "00000009000000030001610162"
                              "42239b9000000000000000000000"
                              "0701010201020108477ecae9"
                              "0000000800000001000000025502add1"
                              "0000000800000001000000025502add1"
                              "0000000e000000020200002c02016101623c25d1bb4a"
                              "00000000000000050000000000000016000000000000002c"
                              "000000000000004c000000000000002c000000000000004cbd9519a3"));
}

TEST_CASE("Values are visited from a prefix on, until enough") {
  std::vector<TestSeries> series;
  for (int i = 0; i < 500; ++i) {
    const std::string digits = StrCat(1000 + i);
    series.push_back({{{"l", "v" + digits}}, {{i, i, static_cast<uint64_t>(i)}}});
  }
  series.push_back({{{"l", "w"}}, {{1, 1, 600}}});
  const std::string file = WriteIndex(series);
  const auto reader = Reader::Open(file);
  REQUIRE(reader.ok());
  const auto visit = [&](std::string_view prefix, size_t enough) {
    std::vector<std::string> values;
    REQUIRE((*reader)
                ->VisitValues("l", prefix,
                              [&](std::string_view value, uint64_t) {
                                values.emplace_back(value);
                                return values.size() < enough;
                              })
                .ok());
    return values;
  };
  CHECK(visit("", 1000).size() == 501);
  CHECK(visit("v1", 1000).size() == 500);
  CHECK(visit("v120", 1000).size() == 10);
  CHECK(visit("v1123", 1000) == std::vector<std::string>{"v1123"});
  CHECK(visit("v", 3) == std::vector<std::string>{"v1000", "v1001", "v1002"});
  CHECK(visit("w", 9) == std::vector<std::string>{"w"});
  CHECK(visit("a", 9).empty());
  CHECK(visit("v2", 9).empty());
  CHECK(visit("z", 9).empty());
}

TEST_CASE("A writer refuses what would not be an index") {
  const ChunkMeta chunk = {1, 2, 8};
  const std::vector<LabelView> good = {{"a", "1"}, {"b", "2"}};
  struct Case {
    std::string_view what;
    std::vector<LabelView> labels;
    std::vector<ChunkMeta> chunks;
  };
  for (const Case& one : std::vector<Case>{
           {"same series twice", good, {chunk}},
           {"a series before", {{"a", "0"}, {"b", "2"}}, {chunk}},
           {"a shorter series", {{"a", "1"}}, {chunk}},
           {"a name before", {{"A", "9"}}, {chunk}},
           {"labels out of order", {{"b", "3"}, {"a", "3"}}, {chunk}},
           {"a name twice", {{"b", "3"}, {"b", "4"}}, {chunk}},
           {"an empty value", {{"b", ""}}, {chunk}},
           {"an empty name", {{"", "b"}}, {chunk}},
           {"overlapping chunks", {{"c", "1"}}, {{1, 5, 8}, {5, 6, 9}}},
           {"a chunk that ends before it begins", {{"c", "1"}}, {{5, 4, 8}}},
       }) {
    INFO(one.what);
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories("/b").ok());
    auto writer = Writer::Create(&fs, "/b/index", {});
    REQUIRE(writer.ok());
    REQUIRE((*writer)->Add(good, std::vector<ChunkMeta>{chunk}).ok());
    CHECK(absl::IsInvalidArgument((*writer)->Add(one.labels, one.chunks)));
    CHECK(absl::IsInvalidArgument((*writer)->Finish(nullptr)));
  }
}

TEST_CASE("An error of pace ends the writing") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/b").ok());
  auto writer = Writer::Create(&fs, "/b/index", {.buffer_size_bytes = 64});
  REQUIRE(writer.ok());
  for (const TestSeries& one : RandomSeries(1, 50)) {
    REQUIRE((*writer)->Add(Views(one.labels), one.chunks).ok());
  }
  int calls = 0;
  CHECK(absl::IsCancelled((*writer)->Finish([&calls](uint64_t bytes) {
    CHECK(bytes > 0);
    return ++calls < 3 ? absl::OkStatus() : absl::CancelledError("stop");
  })));
  CHECK(calls == 3);
}

// Reads all there is to read; false when something was refused.
bool ReadAll(const Reader& reader) {
  bool whole = true;
  std::vector<LabelView> labels;
  std::vector<ChunkMeta> chunks;
  const auto all = reader.AllPostings();
  if (!all.ok()) return false;
  for (size_t i = 0; i < all->size(); ++i) {
    whole = reader.ReadSeries((*all)[i], &labels, &chunks).ok() && whole;
    whole = reader.LabelValue((*all)[i], "job").ok() && whole;
  }
  for (const std::string_view name : reader.Names()) {
    REQUIRE(reader
                .VisitValues(name, "",
                             [&](std::string_view value, uint64_t) {
                               whole = reader.Postings(name, value).ok() && whole;
                               return true;
                             })
                .ok());
  }
  return whole;
}

TEST_CASE("Every flipped byte of an index is noticed, unless it is padding") {
  const std::vector<TestSeries> series = RandomSeries(2, 20);
  for (const std::string& file : {WriteIndex(series), WriteIndexVersion1(series)}) {
    REQUIRE(ReadAll(**Reader::Open(file)));
    size_t unnoticed = 0;
    for (size_t i = 0; i < file.size(); ++i) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ 0x21);
      const auto reader = Reader::Open(changed);
      if (!reader.ok()) {
        CHECK(absl::IsDataLoss(reader.status()));
      } else if (ReadAll(**reader)) {
        ++unnoticed;
        CheckContents(**reader, series);
      }
      // Without its checksums it may say anything, but does no harm.
      const auto trusting = Reader::Open(changed, {.check_sums = false});
      if (trusting.ok()) ReadAll(**trusting);
    }
    CHECK(unnoticed < file.size() / 6);  // Padding; in version 1 the label indices.
  }
}

TEST_CASE("An index that is cut off is refused") {
  const std::string file = WriteIndex(RandomSeries(2, 20));
  for (size_t size = 0; size < file.size(); ++size) {
    CHECK(absl::IsDataLoss(Reader::Open(file.substr(0, size)).status()));
  }
}

TEST_CASE("Series are found again where all behind the symbols is gone but they themselves") {
  const std::vector<TestSeries> series = RandomSeries(8, 60);
  std::string file = WriteIndex(series);
  const size_t series_end = LoadBig<uint64_t>(file.data() + file.size() - kTocSize + 16);
  file.resize(series_end);
  const auto reader = Reader::OpenForSalvage(file);
  REQUIRE(reader.ok());
  std::vector<LabelView> labels;
  std::vector<ChunkMeta> chunks;
  size_t found = 0;
  const Reader::Numbers numbers = (*reader)->salvage_numbers();
  for (uint64_t number = numbers.first; number < numbers.end; ++number) {
    if (!(*reader)->ReadSeries(number, &labels, &chunks).ok()) continue;
    REQUIRE(found < series.size());
    CHECK(labels == Views(series[found].labels));
    CHECK(chunks == series[found].chunks);
    ++found;
  }
  CHECK(found == series.size());
  file[20] = static_cast<char>(file[20] ^ 1);  // A symbol.
  CHECK(absl::IsDataLoss(Reader::OpenForSalvage(file).status()));
}

}  // namespace
}  // namespace narthex::index
