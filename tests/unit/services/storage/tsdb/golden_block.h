#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_GOLDEN_BLOCK_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_GOLDEN_BLOCK_H_

#include <string>
#include <string_view>
#include <vector>

// A block that Prometheus 2.42 made: `promtool tsdb create-blocks-from openmetrics` of nine
// samples, then two deletions through the HTTP API of a Prometheus that had opened it.
namespace narthex::tsdb {

inline constexpr std::string_view kGoldenUlid = "01M7WJYB51E6B8QG907DG520P4";
inline constexpr std::string_view kGoldenIndex =
    "baaad70002000000490000000c000332303003353030085f5f6e616d655f5f0361706904636f646502646213"
    "687474705f72657175657374735f746f74616c036a6f62046e6f746502757006c3a420227122a308bffb0000"
    "000000000000000012030307050108040180c0b884fa62b0ea0108a9aa87ba00000000000000000010030307"
    "0501080601b8d7b884fa620026dd29071b000000000000000000000011030307050208040180c0b884fa6298"
    "753d406423ea000000000000000000000f02030a08040180c0b884fa6298755640c62b100000000000000000"
    "000000001003030a0806090b0180c0b884fa6200781fb1231f00000000000010000000010000000200000007"
    "0000000a5ca75e920000001000000001000000020000000100000002461967b5000000100000000100000002"
    "000000040000000659d721b60000000c00000001000000010000000b7ec6a782000000180000000500000006"
    "000000080000000a0000000c0000000e27ab4ead000000100000000300000006000000080000000a8edde9be"
    "0000000c000000020000000c0000000e4fab653a0000000c000000020000000600000008dc4f561b00000008"
    "000000010000000adfdbf51e0000001000000003000000060000000a0000000cd85ed10e0000000c00000002"
    "000000080000000eafeedb8a00000008000000010000000e18416201000000270000000401085f5f6e616d65"
    "5f5ff8010104636f6465900201036a6f62a80201046e6f7465c002236b132c0000007400000008020000d402"
    "02085f5f6e616d655f5f13687474705f72657175657374735f746f74616cf40202085f5f6e616d655f5f0275"
    "708c030204636f646503323030a0030204636f646503353030b40302036a6f6203617069c40302036a6f6202"
    "6462dc0302046e6f746506c3a420227122f00311b552d0000000000000000500000000000000560000000000"
    "0000f500000000000002000000000000000154000000000000022f74d7741f";
inline constexpr std::string_view kGoldenChunks =
    "85bd40dd010000001801000380c0b884fa623ff00000000000009875c26ffe5a86dc84140d5c11010001b8d7"
    "b884fa62401c000000000000004cd7ae431301000280c0b884fa62000000000000000098750099e8af871c01"
    "000280c0b884fa623ff00000000000009875c3fc0080000000000010a2d626ef1101000180c0b884fa623ff0"
    "000000000000005925dd6d";
inline constexpr std::string_view kGoldenTombstones =
    "0130ba30010e80c0b884fa6280c0b884fa6206a0dcb984fa62e094bc84fa6228141b0a";
inline constexpr std::string_view kGoldenMeta = R"({
	"ulid": "01M7WJYB51E6B8QG907DG520P4",
	"minTime": 1700006400000,
	"maxTime": 1700006430001,
	"stats": {
		"numSamples": 9,
		"numSeries": 5,
		"numChunks": 5,
		"numTombstones": 2
	},
	"compaction": {
		"level": 1,
		"sources": [
			"01M7WJYB51E6B8QG907DG520P4"
		]
	},
	"version": 1
})";

// What promtool dumps of it.
inline const std::vector<std::string>& GoldenDump() {
  static const auto* const kLines = new std::vector<std::string>{
      R"({__name__="http_requests_total", code="200", job="api"} 1 1700006400000)",
      R"({__name__="http_requests_total", code="200", job="db"} 7 1700006401500)",
      R"({__name__="http_requests_total", code="500", job="api"} 0 1700006400000)",
      R"({__name__="http_requests_total", code="500", job="api"} 0 1700006415000)",
      R"({__name__="up", job="api"} 1 1700006400000)",
      R"({__name__="up", job="api"} NaN 1700006415000)",
  };
  return *kLines;
}

inline std::string FromHex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

}  // namespace narthex::tsdb

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_GOLDEN_BLOCK_H_
