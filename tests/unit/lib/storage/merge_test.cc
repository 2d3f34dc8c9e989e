#include "lib/storage/merge.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/support/memory_storage.h"

namespace narthex::storage {
namespace {

using testing::MemoryStorage;

// Reads a set into a text: "{a="1"}: 1000=1 2000=2; …".
std::string Read(SeriesSet* set) {
  std::string out;
  SampleBuffer buffer;
  while (set->Next()) {
    StrAppend(&out, set->labels().ToString(), ":");
    buffer.Clear();
    CHECK(set->ReadSamples(&buffer).ok());
    for (size_t i = 0; i < buffer.size(); ++i) {
      StrAppend(&out, " ", buffer.timestamps()[i], "=", buffer.values()[i]);
    }
    out += "; ";
  }
  CHECK(set->status().ok());
  return out;
}

std::unique_ptr<SeriesSet> SelectAll(MemoryStorage* storage) {
  Selector selector;
  selector.hints.start = 0;
  selector.hints.end = 100000;
  auto result = storage->Select({&selector, 1}, {});
  REQUIRE(result.ok());
  return std::move(result->sets[0]);
}

// Fails at its second series.
class FailingSeriesSet : public SeriesSet {
 public:
  bool Next() override {
    if (++calls_ == 1) return true;
    status_ = Unavailable("node is gone");
    return false;
  }
  const Labels& labels() const override { return labels_; }
  absl::Status ReadSamples(SampleBuffer*) override { return absl::OkStatus(); }
  absl::Status status() const override { return status_; }

 private:
  int calls_ = 0;
  Labels labels_ = {{"a", "1"}};
  absl::Status status_;
};

TEST_CASE("samples merge by time, and the first wins at equal times") {
  struct Case {
    std::vector<Timestamp> a, b;
    std::string want;
  };
  const std::vector<Case> cases = {
      {{}, {}, ""},
      {{1, 2}, {}, " 1a 2a"},
      {{}, {1, 2}, " 1b 2b"},
      {{1, 3, 5}, {2, 4, 6}, " 1a 2b 3a 4b 5a 6b"},
      {{1, 2, 3}, {2, 3, 4}, " 1a 2a 3a 4b"},
      {{5}, {1, 5, 9}, " 1b 5a 9b"},
  };
  for (const Case& c : cases) {
    SampleBuffer a, b, out;
    for (const Timestamp t : c.a) a.Append(t, 0);
    for (const Timestamp t : c.b) b.Append(t, 1);
    MergeSamples(a, b, &out);
    std::string got;
    for (size_t i = 0; i < out.size(); ++i) {
      StrAppend(&got, " ", out.timestamps()[i], out.values()[i] == 0 ? 'a' : 'b');
    }
    CHECK(got == c.want);
  }
}

TEST_CASE("the series of several stores come once, in label order, with all samples") {
  MemoryStorage one, two, three;
  const Labels a = {{"a", "1"}}, b = {{"a", "2"}}, c = {{"a", "3"}};
  one.Append(a, 1000, 1);
  one.Append(a, 2000, 2);
  one.Append(c, 1000, 7);
  two.Append(a, 2000, 99);
  two.Append(a, 3000, 3);
  two.Append(b, 1000, 5);
  three.Append(a, 500, 0.5);
  three.Append(c, 4000, 8);
  std::vector<std::unique_ptr<SeriesSet>> sets;
  for (MemoryStorage* storage : {&one, &two, &three}) sets.push_back(SelectAll(storage));
  CHECK(Read(MergeSeriesSets(std::move(sets)).get()) ==
        R"({a="1"}: 500=0.5 1000=1 2000=2 3000=3; {a="2"}: 1000=5; {a="3"}: 1000=7 4000=8; )");
}

TEST_CASE("series that nobody reads are passed over") {
  MemoryStorage one, two;
  for (MemoryStorage* storage : {&one, &two}) {
    for (int i = 0; i < 5; ++i) storage->Append({{"a", StrCat(i)}}, 1000, i);
  }
  std::vector<std::unique_ptr<SeriesSet>> sets;
  sets.push_back(SelectAll(&one));
  sets.push_back(SelectAll(&two));
  const auto merged = MergeSeriesSets(std::move(sets));
  int count = 0;
  while (merged->Next()) ++count;
  CHECK(count == 5);
  CHECK_FALSE(merged->Next());
}

TEST_CASE("no set and one set merge, too") {
  CHECK_FALSE(MergeSeriesSets({})->Next());
  MemoryStorage one;
  one.Append({{"a", "1"}}, 1000, 1);
  std::vector<std::unique_ptr<SeriesSet>> sets;
  sets.push_back(SelectAll(&one));
  CHECK(Read(MergeSeriesSets(std::move(sets)).get()) == R"({a="1"}: 1000=1; )");
}

TEST_CASE("an error of one set ends the merge") {
  MemoryStorage one;
  for (int i = 0; i < 5; ++i) one.Append({{"a", StrCat(i)}}, 1000, i);
  std::vector<std::unique_ptr<SeriesSet>> sets;
  sets.push_back(SelectAll(&one));
  sets.push_back(std::make_unique<FailingSeriesSet>());
  const auto merged = MergeSeriesSets(std::move(sets));
  int count = 0;
  while (merged->Next()) ++count;
  CHECK(count == 2);  // a="0" of one, a="1" of both.
  CHECK(merged->status().code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(merged->Next());
}

}  // namespace
}  // namespace narthex::storage
