#include "lib/labels/labels.h"

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "lib/labels/labels_builder.h"

namespace narthex {
namespace {

std::vector<std::pair<std::string, std::string>> Pairs(const Labels& labels) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const LabelView label : labels) out.emplace_back(label.name, label.value);
  return out;
}

TEST_CASE("a label set sorts its labels and drops empty values") {
  const Labels labels = {{"job", "x"}, {"a", ""}, {"__name__", "up"}, {"instance", "h:1"}};
  REQUIRE(labels.size() == 3);
  CHECK(Pairs(labels) == std::vector<std::pair<std::string, std::string>>{
                             {"__name__", "up"}, {"instance", "h:1"}, {"job", "x"}});
  CHECK(labels == Labels::FromPairs({{"instance", "h:1"}, {"job", "x"}, {"__name__", "up"}}));
  CHECK(labels.Get("job") == "x");
  CHECK(labels.Get("nothing").empty());
  CHECK_FALSE(labels.Has("a"));
  CHECK(labels.metric_name() == "up");
}

TEST_CASE("the empty label set is equal to itself only") {
  const Labels empty;
  CHECK(empty.empty());
  CHECK(empty.size() == 0);
  CHECK(empty == Labels({{"a", ""}}));
  CHECK(empty != Labels({{"a", "b"}}));
  CHECK(empty < Labels({{"a", "b"}}));
  CHECK(empty.hash() == Labels().hash());
  CHECK(empty.begin() == empty.end());
  CHECK(empty.ToString() == "{}");
}

TEST_CASE("label sets that join to the same bytes are different") {
  const Labels a = {{"ab", "c"}};
  const Labels b = {{"a", "bc"}};
  const Labels c = {{"a", "b"}, {"c", "d"}};
  const Labels d = {{"a", "bcd"}};
  CHECK(a != b);
  CHECK(c != d);
  CHECK(a.hash() != b.hash());
}

TEST_CASE("label sets are ordered label by label, the shorter first") {
  const std::vector<Labels> ordered = {
      {},
      {{"__name__", "a"}},
      {{"__name__", "a"}, {"job", "x"}},
      {{"__name__", "a"}, {"job", "y"}},
      {{"__name__", "a"}, {"jobs", "a"}},
      {{"__name__", "b"}},
      {{"a", "z"}},
      {{"b", "a"}},
      {{"b", "\xc3\xa9"}},
  };
  for (size_t i = 0; i < ordered.size(); ++i) {
    for (size_t j = 0; j < ordered.size(); ++j) {
      INFO(ordered[i].ToString() << " and " << ordered[j].ToString());
      CHECK((ordered[i] <=> ordered[j]) == (i <=> j));
      CHECK((ordered[i] == ordered[j]) == (i == j));
    }
  }
}

TEST_CASE("copies of a label set share it and survive the original") {
  Labels copy;
  std::string_view value;
  {
    const Labels original = {{"a", std::string(100, 'v')}};
    copy = original;
    value = original.Get("a");
  }
  CHECK(copy.Get("a").data() == value.data());
  Labels moved = std::move(copy);
  CHECK(moved.Get("a") == std::string(100, 'v'));
  Labels& self = moved;
  moved = self;
  CHECK(moved.size() == 1);
  moved = Labels();
  CHECK(moved.empty());
}

TEST_CASE("copies of a label set are used from several threads") {
  const Labels shared = {{"a", "1"}, {"b", "2"}};
  std::atomic<int> wrong = 0;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.push_back(Thread("copies", [copy = shared, &wrong] {
        for (int round = 0; round < 2000; ++round) {
          const Labels own = copy;
          LabelsBuilder builder(own);
          builder.Set("c", "3");
          const Labels built = builder.Build();
          if (own.Get("b") != "2" || built.size() != 3 || built == own) ++wrong;
        }
      }));
    }
  }
  CHECK(wrong == 0);
  CHECK(shared.Get("a") == "1");
}

TEST_CASE("a label set prints as upstream prints it") {
  const std::vector<std::pair<Labels, std::string>> cases = {
      {{{"__name__", "up"}, {"job", "x"}}, R"({__name__="up", job="x"})"},
      {{{"a", "quote\" slash\\ line\nbreak"}}, R"({a="quote\" slash\\ line\nbreak"})"},
      {{{"a.b", "x"}}, R"({"a.b"="x"})"},
      {{{"1a", "x"}, {"a1", "y"}}, R"({"1a"="x", a1="y"})"},
      {{{"a:b", "x"}}, R"({"a:b"="x"})"},
      {{{"caf\xc3\xa9", "\xc3\xa9"}}, "{\"caf\xc3\xa9\"=\"\xc3\xa9\"}"},
      {{{"a", "\xff"}}, R"({a="\xff"})"},
      {{{"\u3000", "\u00ad"}}, R"({"\u3000"="\u00ad"})"},
      {{{"\\", "\u2066\U000c2d87"}}, R"({"\\"="\u2066\U000c2d87"})"},
      {{{"", "x"}}, R"({""="x"})"},
  };
  for (const auto& [labels, printed] : cases) CHECK(labels.ToString() == printed);
}

TEST_CASE("the fingerprint is upstream's") {
  // From model.LabelSet.Fingerprint() of prometheus/common.
  CHECK(Labels().Fingerprint() == 14695981039346656037u);
  CHECK(Labels({{"__name__", "up"}, {"job", "x"}}).Fingerprint() == 13988133323959023142u);
}

TEST_CASE("a label set that is sorted already is taken as it is") {
  const std::vector<LabelView> views = {{"a", "1"}, {"b", "2"}};
  CHECK(Labels::FromSorted(views) == Labels({{"b", "2"}, {"a", "1"}}));
  CHECK(Labels::FromSorted({}).empty());
}

TEST_CASE("a builder sets, deletes, keeps and drops") {
  const Labels base = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  struct Case {
    const char* name;
    void (*change)(LabelsBuilder*);
    Labels want;
  };
  const Case cases[] = {
      {"nothing", [](LabelsBuilder*) {}, base},
      {"set new",
       [](LabelsBuilder* b) { b->Set("aa", "9"); },
       {{"a", "1"}, {"aa", "9"}, {"b", "2"}, {"c", "3"}}},
      {"overwrite",
       [](LabelsBuilder* b) { b->Set("b", "9"); },
       {{"a", "1"}, {"b", "9"}, {"c", "3"}}},
      {"overwrite twice",
       [](LabelsBuilder* b) {
         b->Set("b", "8");
         b->Set("b", "9");
       },
       {{"a", "1"}, {"b", "9"}, {"c", "3"}}},
      {"delete", [](LabelsBuilder* b) { b->Del("b"); }, {{"a", "1"}, {"c", "3"}}},
      {"set empty deletes", [](LabelsBuilder* b) { b->Set("b", ""); }, {{"a", "1"}, {"c", "3"}}},
      {"delete and set again",
       [](LabelsBuilder* b) {
         b->Del("b");
         b->Set("b", "7");
       },
       {{"a", "1"}, {"b", "7"}, {"c", "3"}}},
      {"set and delete",
       [](LabelsBuilder* b) {
         b->Set("x", "7");
         b->Set("y", "8");
         b->Del("x");
       },
       {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"y", "8"}}},
      {"keep",
       [](LabelsBuilder* b) {
         b->Set("d", "4");
         b->Set("e", "5");
         b->Keep(std::vector<std::string>{"d", "a", "z"});
       },
       {{"a", "1"}, {"d", "4"}}},
      {"drop",
       [](LabelsBuilder* b) {
         b->Set("d", "4");
         b->Drop(std::vector<std::string>{"d", "a", "z"});
       },
       {{"b", "2"}, {"c", "3"}}},
      {"delete all", [](LabelsBuilder* b) { b->Keep({}); }, {}},
  };
  LabelsBuilder reused;
  for (const Case& c : cases) {
    INFO(c.name);
    LabelsBuilder fresh(base);
    c.change(&fresh);
    CHECK(fresh.Build() == c.want);
    reused.Reset(base);
    c.change(&reused);
    CHECK(reused.Build() == c.want);
    // ForEach and Get tell the same as Build.
    std::map<std::string, std::string> visited;
    fresh.ForEach([&](LabelView label) { visited.emplace(label.name, label.value); });
    CHECK(visited.size() == c.want.size());
    for (const LabelView label : c.want) {
      CHECK(visited[std::string(label.name)] == label.value);
      CHECK(fresh.Get(label.name) == label.value);
    }
  }
}

TEST_CASE("a builder takes views of its own values") {
  LabelsBuilder builder;
  builder.Set("a", "value");
  for (int i = 0; i < 50; ++i) builder.Set("a" + std::to_string(i), builder.Get("a"));
  builder.Set("b", builder.Get("a"));
  builder.Set("a", builder.Get("b"));
  CHECK(builder.Build().Get("a49") == "value");
  CHECK(builder.Build().size() == 52);
  CHECK(builder.Get("a") == "value");
}

TEST_CASE("a builder without changes gives its base back") {
  const Labels base = {{"a", "1"}};
  CHECK(LabelsBuilder(base).Build().Get("a").data() == base.Get("a").data());
}

}  // namespace
}  // namespace narthex
