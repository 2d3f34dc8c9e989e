// meta.json, ours and others'.
#include "services/storage/tsdb/block_meta.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/unit/services/storage/tsdb/golden_block.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kThanos = R"({
	"ulid": "01M7WJYB51E6B8QG907DG520P4",
	"minTime": -9223372036854775808,
	"maxTime": 9223372036854775807,
	"stats": {
		"numSamples": 18446744073709551615,
		"numFloatSamples": 3,
		"numHistogramSamples": 4,
		"numSeries": 5,
		"numChunks": 6,
		"numTombstones": 7
	},
	"compaction": {
		"level": 3,
		"sources": [
			"01M7WJYB51E6B8QG907DG520P4",
			"01ARZ3NDEKTSV4RRFFQ69G5FAV"
		],
		"deletable": true,
		"parents": [
			{
				"ulid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
				"minTime": 1,
				"maxTime": 2
			}
		],
		"failed": true,
		"hints": [
			"from-out-of-order"
		]
	},
	"version": 1,
	"thanos": {
		"labels": {
			"a\"}]": "b,{["
		},
		"downsample": {"resolution": 0, "big": 12345678901234567890},
		"empty": []
	},
	"x": null
})";

TEST_CASE("Every member is read, and written as it was") {
  const auto meta = ParseBlockMeta(kThanos);
  REQUIRE(meta.ok());
  CHECK(meta->ulid == "01M7WJYB51E6B8QG907DG520P4");
  CHECK(meta->min_time == INT64_MIN);
  CHECK(meta->max_time == INT64_MAX);
  CHECK(meta->stats.samples == UINT64_MAX);
  CHECK(meta->stats.float_samples == 3);
  CHECK(meta->stats.histogram_samples == 4);
  CHECK(meta->stats.series == 5);
  CHECK(meta->stats.chunks == 6);
  CHECK(meta->stats.tombstones == 7);
  CHECK(meta->compaction.level == 3);
  CHECK(meta->compaction.sources.size() == 2);
  CHECK(meta->compaction.deletable);
  CHECK(meta->compaction.failed);
  REQUIRE(meta->compaction.parents.size() == 1);
  CHECK(meta->compaction.parents[0].max_time == 2);
  CHECK(meta->compaction.hints == std::vector<std::string>{"from-out-of-order"});
  REQUIRE(meta->others.size() == 2);
  CHECK(meta->others[0].first == "thanos");
  CHECK(FormatBlockMeta(*meta) == kThanos);
}

TEST_CASE("What Prometheus wrote is written the same") {
  const auto meta = ParseBlockMeta(kGoldenMeta);
  REQUIRE(meta.ok());
  CHECK(meta->stats.tombstones == 2);
  CHECK(FormatBlockMeta(*meta) == kGoldenMeta);
}

TEST_CASE("Members may be missing, spaced or null as Go allows") {
  const auto meta = ParseBlockMeta(
      " { \"version\" :1 , \"compaction\":{\"sources\":null,\"level\" : 2}, \"unknown\":[1 , {}],"
      "\"ulid\":\"01M7WJYB51E6B8QG907DG520P4\" } ");
  REQUIRE(meta.ok());
  CHECK(meta->compaction.level == 2);
  CHECK(meta->compaction.sources.empty());
  REQUIRE(meta->others.size() == 1);
  CHECK(meta->others[0].second == "[1 , {}]");
  CHECK(FormatBlockMeta(*meta).find("\"stats\": {},") != std::string::npos);
}

TEST_CASE("What is no meta.json is refused with the reason") {
  const std::string ulid = R"("ulid":"01M7WJYB51E6B8QG907DG520P4")";
  struct Case {
    std::string json;
    std::string_view reason;
  };
  for (const Case& one : std::vector<Case>{
           {"", "meta.json"},
           {"[]", "no object"},
           {"{", "meta.json"},
           {"{}", "unknown version 0"},
           {R"({"version":2,)" + ulid + "}", "unknown version 2"},
           {R"({"version":1})", "no ulid"},
           {R"({"version":1,"ulid":"x"})", "no ULID"},
           {R"({"version":1,"ulid":7})", "no string"},
           {R"({"version":1,"minTime":1.5,)" + ulid + "}", "minTime: 1.5 is no whole number"},
           {R"({"version":1,"minTime":5,"maxTime":4,)" + ulid + "}", "maxTime 4 is before"},
           {R"({"version":1,"stats":{"numSeries":-1},)" + ulid + "}", "numSeries: -1"},
           {R"({"version":1,"stats":[],)" + ulid + "}", "no object"},
           {R"({"version":1,"compaction":{"level":-1},)" + ulid + "}", "level -1"},
           {R"({"version":1,"compaction":{"failed":1},)" + ulid + "}", "neither true nor false"},
           {R"({"version":1,"compaction":{"sources":["y"]},)" + ulid + "}", "sources: \"y\""},
           {R"({"version":1,"compaction":{"sources":"y"},)" + ulid + "}", "no list"},
       }) {
    INFO(one.json);
    const auto meta = ParseBlockMeta(one.json);
    REQUIRE(absl::IsInvalidArgument(meta.status()));
    INFO(Message(meta.status()));
    CHECK(Message(meta.status()).find(one.reason) != std::string_view::npos);
  }
}

TEST_CASE("No cut through the file and no other byte in it does harm") {
  for (size_t size = 0; size < kThanos.size(); ++size) {
    CHECK_FALSE(ParseBlockMeta(kThanos.substr(0, size)).ok());
  }
  for (size_t i = 0; i < kThanos.size(); ++i) {
    for (const char c : {'"', '{', ']', ',', '\\', '0', ' '}) {
      std::string changed(kThanos);
      changed[i] = c;
      const auto meta = ParseBlockMeta(changed);
      if (meta.ok()) CHECK(ParseBlockMeta(FormatBlockMeta(*meta)).ok());
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
