// What a sample costs to parse: bench_textparse [payload file]. Without a file, a payload of its
// own, shaped like node_exporter's.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "lib/base/strings.h"
#include "lib/textparse/prometheus_parser.h"
#include "tests/support/bench.h"

namespace {

using narthex::StrAppend;
using narthex::textparse::EntryKind;
using narthex::textparse::PrometheusParser;

std::string MakePayload() {
  std::string out;
  for (int family = 0; family < 200; ++family) {
    StrAppend(&out, "# HELP node_family_", family,
              "_seconds_total Seconds that the family spent.\n");
    StrAppend(&out, "# TYPE node_family_", family, "_seconds_total counter\n");
    for (int series = 0; series < 8; ++series) {
      StrAppend(&out, "node_family_", family, "_seconds_total{cpu=\"", series, "\",mode=\"idle\"} ",
                1234.5 * family + series, "\n");
    }
  }
  return out;
}

struct Counts {
  size_t entries = 0;
  size_t samples = 0;
};

Counts Parse(const std::string& body, bool labels) {
  Counts counts;
  PrometheusParser parser(body);
  while (parser.Next()) {
    ++counts.entries;
    if (parser.entry().kind != EntryKind::kSeries) continue;
    ++counts.samples;
    narthex::testing::KeepAlive(parser.entry().value);
    if (labels) narthex::testing::KeepAlive(parser.ReadLabels(parser.entry()).ok());
  }
  if (!parser.status().ok()) {
    std::fprintf(stderr, "%s\n", parser.status().ToString().c_str());
    std::exit(1);
  }
  return counts;
}

}  // namespace

int main(int argc, char** argv) {
  std::string body = MakePayload();
  if (argc > 1) {
    std::ifstream in(argv[1], std::ios::binary);
    body.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  const Counts counts = Parse(body, false);
  if (counts.samples == 0) {
    std::fprintf(stderr, "no samples in the payload\n");
    return 1;
  }
  std::printf("%zu bytes, %zu entries, %zu samples\n", body.size(), counts.entries, counts.samples);
  narthex::testing::BenchOptions options;
  options.bytes = static_cast<double>(body.size()) / static_cast<double>(counts.samples);
  narthex::testing::RunBench(
      "parse, a sample", counts.samples, [&] { Parse(body, false); }, options);
  narthex::testing::RunBench(
      "parse and make labels, a sample", counts.samples, [&] { Parse(body, true); }, options);
  return 0;
}
