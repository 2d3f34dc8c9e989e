#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_INDEX_INDEX_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_INDEX_INDEX_FIXTURE_H_

#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/index/reader.h"
#include "services/storage/tsdb/index/writer.h"
#include "tests/support/fault_file_system.h"

// Indices for tests, and the version 1 that nobody writes any more.
namespace narthex::index {

using LabelSet = std::map<std::string, std::string>;

struct TestSeries {
  LabelSet labels;
  std::vector<ChunkMeta> chunks;
};

inline std::vector<LabelView> Views(const LabelSet& labels) {
  std::vector<LabelView> views;
  for (const auto& [name, value] : labels) views.push_back({name, value});
  return views;
}

// `count` different label sets in order, with up to four chunks each.
inline std::vector<TestSeries> RandomSeries(uint32_t seed, size_t count) {
  std::mt19937 random(seed);
  std::set<std::vector<std::pair<std::string, std::string>>> sets;
  while (sets.size() < count) {
    LabelSet labels;
    labels["__name__"] = StrCat("metric_", random() % 7);
    labels["id"] = StrCat(random() % (2 * count));
    if (random() % 3 != 0) labels["job"] = StrCat("job-", random() % 5);
    if (random() % 2 != 0) labels["path"] = std::string(random() % 40, 'p') + "/x";
    if (random() % 9 == 0) labels["zone"] = "";
    labels.erase("zone");
    if (random() % 9 == 0) labels["zone"] = StrCat("z", random() % 2, "\n\xc3\xa9");
    sets.insert({labels.begin(), labels.end()});
  }
  std::vector<TestSeries> series;
  uint64_t reference = 8;
  for (const auto& set : sets) {
    TestSeries& one = series.emplace_back();
    one.labels = LabelSet(set.begin(), set.end());
    Timestamp time = static_cast<Timestamp>(random() % 1000) - 500;
    for (size_t left = 1 + random() % 4; left > 0; --left) {
      const Timestamp end = time + static_cast<Timestamp>(random() % 100);
      one.chunks.push_back({time, end, reference});
      reference += 1 + random() % 500;
      if (random() % 10 == 0) reference = ((reference >> 32) + 1) << 32 | 8;
      time = end + 1 + static_cast<Timestamp>(random() % 50);
    }
  }
  return series;
}

inline std::string WriteIndex(const std::vector<TestSeries>& series, WriterOptions options = {}) {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("/b").ok());
  auto writer = Writer::Create(&fs, "/b/index", options);
  REQUIRE(writer.ok());
  for (const TestSeries& one : series) {
    const absl::Status added = (*writer)->Add(Views(one.labels), one.chunks);
    INFO(added.message());
    REQUIRE(added.ok());
  }
  REQUIRE((*writer)->Finish(nullptr).ok());
  CHECK((*writer)->series() == series.size());
  CHECK_FALSE(fs.Exists("/b/index.series"));
  return fs.ReadFile("/b/index").value();
}

// Version 1, as Prometheus 2.0 wrote it: symbols are named by their offsets in the file, series by
// theirs, and the table of postings is in the order of a hash map. It has label indices too, which
// readers may pass over.
inline std::string WriteIndexVersion1(const std::vector<TestSeries>& series) {
  std::string file;
  AppendBig(&file, kMagic);
  file.push_back(1);
  const auto section = [&file](const std::string& body) {
    AppendBig(&file, static_cast<uint32_t>(body.size()));
    file += body;
    AppendBig(&file, Crc32c(body));
  };
  std::set<std::string> texts;
  std::map<std::pair<std::string, std::string>, std::vector<uint32_t>> postings;
  for (const TestSeries& one : series) {
    for (const auto& [name, value] : one.labels) {
      texts.insert(name);
      texts.insert(value);
    }
  }
  std::map<std::string, uint64_t> symbols;
  const uint64_t symbols_start = file.size();
  std::string body;
  AppendBig(&body, static_cast<uint32_t>(texts.size()));
  for (const std::string& text : texts) {
    symbols[text] = file.size() + 4 + body.size();
    AppendLengthPrefixed(&body, text);
  }
  section(body);
  const uint64_t series_start = file.size();
  for (const TestSeries& one : series) {
    const uint32_t offset = static_cast<uint32_t>(file.size());
    postings[{"", ""}].push_back(offset);
    body.clear();
    AppendUvarint(&body, one.labels.size());
    for (const auto& [name, value] : one.labels) {
      AppendUvarint(&body, symbols[name]);
      AppendUvarint(&body, symbols[value]);
      postings[{name, value}].push_back(offset);
    }
    AppendUvarint(&body, one.chunks.size());
    for (size_t i = 0; i < one.chunks.size(); ++i) {
      const ChunkMeta& chunk = one.chunks[i];
      if (i == 0) {
        AppendVarint(&body, chunk.min_time);
      } else {
        AppendUvarint(&body, static_cast<uint64_t>(chunk.min_time - one.chunks[i - 1].max_time));
      }
      AppendUvarint(&body, static_cast<uint64_t>(chunk.max_time - chunk.min_time));
      if (i == 0) {
        AppendUvarint(&body, chunk.reference);
      } else {
        AppendVarint(&body, static_cast<int64_t>(chunk.reference - one.chunks[i - 1].reference));
      }
    }
    AppendLengthPrefixed(&file, body);
    AppendBig(&file, Crc32c(body));
  }
  const uint64_t label_indices = file.size();
  body.clear();
  AppendBig(&body, uint32_t{1});
  AppendBig(&body, uint32_t{0});
  section(body);
  const uint64_t postings_start = file.size();
  std::string table;
  AppendBig(&table, static_cast<uint32_t>(postings.size()));
  // In the reverse of the order, as good as that of a hash map.
  for (auto pair = postings.rbegin(); pair != postings.rend(); ++pair) {
    AppendUvarint(&table, 2);
    AppendLengthPrefixed(&table, pair->first.first);
    AppendLengthPrefixed(&table, pair->first.second);
    AppendUvarint(&table, file.size());
    body.clear();
    AppendBig(&body, static_cast<uint32_t>(pair->second.size()));
    for (const uint32_t offset : pair->second) AppendBig(&body, offset);
    section(body);
  }
  const uint64_t indices_table = file.size();
  body.clear();
  AppendBig(&body, uint32_t{0});
  section(body);
  const uint64_t postings_table = file.size();
  section(table);
  std::string toc;
  for (const uint64_t offset : {symbols_start, series_start, label_indices, indices_table,
                                postings_start, postings_table}) {
    AppendBig(&toc, offset);
  }
  file += toc;
  AppendBig(&file, Crc32c(toc));
  return file;
}

}  // namespace narthex::index

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_INDEX_INDEX_FIXTURE_H_
