#include "lib/chunkenc/histogram_appender.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/model/stale.h"
#include "tests/unit/lib/chunkenc/golden_series.h"
#include "tests/unit/lib/chunkenc/hex.h"

namespace narthex::chunkenc {
namespace {

Histogram Make(std::vector<HistogramSpan> spans, const std::vector<int64_t>& counts) {
  Histogram histogram;
  histogram.positive_spans = std::move(spans);
  int64_t previous = 0;
  for (const int64_t count : counts) {
    histogram.positive_deltas.push_back(count - previous);
    histogram.count += static_cast<uint64_t>(count);
    previous = count;
  }
  histogram.sum = static_cast<double>(histogram.count);
  REQUIRE(Validate(histogram).ok());
  return histogram;
}

Histogram Gauge(Histogram histogram) {
  histogram.reset_hint = CounterResetHint::kGauge;
  return histogram;
}

Histogram Stale() {
  Histogram histogram;
  histogram.sum = StaleNan();
  return histogram;
}

ResetHeader HeaderOf(std::string_view bytes) {
  return static_cast<ResetHeader>(static_cast<uint8_t>(bytes[2]) & kResetHeaderMask);
}

std::vector<Histogram> Decode(std::string_view bytes) {
  SampleBuffer samples;
  REQUIRE(HistogramDecode(bytes, false, SIZE_MAX, kMinTimestamp, kMaxTimestamp, &samples).ok());
  std::vector<Histogram> histograms;
  for (size_t i = 0; i < samples.size(); ++i) histograms.push_back(samples.histogram(i));
  return histograms;
}

TEST_CASE("a histogram chunk has the bytes of format.md") {
  HistogramAppender appender;
  appender.Append(1000, Make({{0, 2}}, {1, 2}));
  appender.Append(2000, Make({{0, 2}}, {2, 2}));
  CHECK(ToHex(appender.bytes()) == "0002000046478fa2640080000000000008c7c7d116b0b8dc");
}

TEST_CASE("what a chunk of counters can take, and why another begins") {
  const Histogram first = Make({{0, 2}, {1, 1}}, {2, 0, 3});
  Histogram schema = first;
  schema.schema = 2;
  Histogram threshold = first;
  threshold.zero_threshold = 0.5;
  Histogram hint = first;
  hint.reset_hint = CounterResetHint::kReset;
  Histogram zero = first;
  zero.zero_count = 1;
  ++zero.count;
  struct Case {
    const char* name;
    Histogram before, after;
    HistogramAppend outcome;
    ResetHeader header;  // Of the chunk that `after` is in.
  };
  const ResetHeader unknown = ResetHeader::kUnknown;
  const std::vector<Case> cases = {
      {"the same", first, first, HistogramAppend::kAppended, unknown},
      {"more", first, Make({{0, 2}, {1, 1}}, {4, 1, 3}), HistogramAppend::kAppended, unknown},
      {"fewer in all", first, Make({{0, 2}, {1, 1}}, {2, 0, 2}), HistogramAppend::kNewChunk,
       ResetHeader::kReset},
      {"fewer in one bucket", first, Make({{0, 2}, {1, 1}}, {9, 0, 2}), HistogramAppend::kNewChunk,
       ResetHeader::kReset},
      {"a bucket that counted is gone", first, Make({{0, 2}}, {9, 9}), HistogramAppend::kNewChunk,
       ResetHeader::kReset},
      {"a bucket that never counted is gone", first, Make({{0, 1}, {2, 1}}, {2, 3}),
       HistogramAppend::kAppended, unknown},
      {"new buckets", first, Make({{-1, 5}}, {1, 2, 0, 1, 3}), HistogramAppend::kRecoded, unknown},
      {"a new bucket, and one that never counted is gone", first,
       Make({{0, 1}, {1, 3}}, {2, 1, 3, 1}), HistogramAppend::kRecoded, unknown},
      {"another schema", first, schema, HistogramAppend::kNewChunk, unknown},
      {"another zero threshold", first, threshold, HistogramAppend::kNewChunk, unknown},
      {"a hint", first, hint, HistogramAppend::kNewChunk, ResetHeader::kReset},
      {"fewer in the zero bucket", zero, Make({{0, 2}, {1, 1}}, {3, 0, 3}),
       HistogramAppend::kNewChunk, ResetHeader::kReset},
      {"a gauge", first, Gauge(first), HistogramAppend::kNewChunk, ResetHeader::kGauge},
      {"a counter behind a gauge", Gauge(first), first, HistogramAppend::kNewChunk,
       ResetHeader::kNotReset},
      {"a staleness marker", first, Stale(), HistogramAppend::kAppended, unknown},
      {"one behind a staleness marker", Stale(), first, HistogramAppend::kNewChunk, unknown},
      {"a second staleness marker", Stale(), Stale(), HistogramAppend::kAppended, unknown},
      {"a gauge that has less, and other buckets", Gauge(first), Gauge(Make({{5, 1}}, {1})),
       HistogramAppend::kRecoded, ResetHeader::kGauge},
      {"a gauge with fewer buckets", Gauge(first), Gauge(Make({{0, 1}}, {1})),
       HistogramAppend::kAppended, ResetHeader::kGauge},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    HistogramAppender appender;
    REQUIRE(appender.Append(1000, c.before) == HistogramAppend::kAppended);
    const std::string chunk(appender.bytes());
    REQUIRE(appender.Append(2000, c.after) == c.outcome);
    if (c.outcome == HistogramAppend::kNewChunk) {
      CHECK(appender.bytes() == chunk);
      CHECK(appender.samples() == 1);
      CHECK(appender.Finish() == chunk);
      REQUIRE(appender.Append(2000, c.after) == HistogramAppend::kAppended);
    }
    CHECK(HeaderOf(appender.bytes()) == c.header);
    const std::vector<Histogram> decoded = Decode(appender.bytes());
    REQUIRE(decoded.size() == appender.samples());
    CHECK(Same(decoded.back(), c.after));
    if (decoded.size() == 2) CHECK(Same(decoded.front(), c.before));
    CHECK(appender.IsLast(c.after));
    CHECK(appender.timestamp() == 2000);
    CHECK(appender.memory_bytes() > sizeof appender);
  }
}

TEST_CASE("a chunk behind a full one says how its first sample compares") {
  const Histogram first = Make({{0, 1}}, {5});
  const auto header_after = [&](const Histogram& next) {
    HistogramAppender appender;
    appender.Append(1, first);
    appender.Finish();
    CHECK(appender.bytes().empty());
    CHECK(appender.samples() == 0);
    CHECK(appender.has_last());
    appender.Append(2, next);
    return HeaderOf(appender.bytes());
  };
  CHECK(header_after(Make({{0, 1}}, {6})) == ResetHeader::kNotReset);
  CHECK(header_after(Make({{0, 1}}, {4})) == ResetHeader::kReset);
  CHECK(header_after(Gauge(Make({{0, 1}}, {4}))) == ResetHeader::kGauge);
  HistogramAppender appender;
  appender.Append(1, first);
  appender.Reset();
  CHECK_FALSE(appender.has_last());
  CHECK_FALSE(appender.IsLast(first));
  appender.Append(2, Make({{0, 1}}, {4}));
  CHECK(HeaderOf(appender.bytes()) == ResetHeader::kUnknown);
}

template <typename H>
void ResumeEverywhere(const GoldenSeries& series, bool starts, const SampleBuffer& samples,
                      const H& (SampleBuffer::*sample)(size_t) const) {
  BasicHistogramAppender<H> whole(starts);
  for (size_t i = 0; i < samples.size(); ++i) {
    BasicHistogramAppender<H> resumed(starts);
    if (whole.samples() > 0) {
      REQUIRE(resumed.Resume(whole.bytes()).ok());
      CHECK(resumed.bytes() == whole.bytes());
      CHECK(resumed.timestamp() == whole.timestamp());
      CHECK(resumed.IsLast(whole.Last()));
    }
    const Timestamp start = starts ? samples.start_timestamps()[i] : 0;
    const H& histogram = (samples.*sample)(i);
    const HistogramAppend outcome = resumed.Append(samples.timestamps()[i], histogram, start);
    INFO("encoding " << series.encoding << ", sample " << i);
    REQUIRE(outcome == whole.Append(samples.timestamps()[i], histogram, start));
    if (outcome == HistogramAppend::kNewChunk) {
      whole.Finish();
      whole.Append(samples.timestamps()[i], histogram, start);
      continue;
    }
    // Where no window was set yet, a resumed chunk uses that of 64 bits: other bits, the same
    // samples.
    SampleBuffer a;
    SampleBuffer b;
    REQUIRE(DecodeChunk(whole.encoding(), whole.bytes(), SIZE_MAX, kMinTimestamp, kMaxTimestamp, &a)
                .ok());
    REQUIRE(
        DecodeChunk(whole.encoding(), resumed.bytes(), SIZE_MAX, kMinTimestamp, kMaxTimestamp, &b)
            .ok());
    REQUIRE(a.size() == b.size());
    for (size_t j = 0; j < a.size(); ++j) {
      CHECK(a.timestamps()[j] == b.timestamps()[j]);
      CHECK(Same((a.*sample)(j), (b.*sample)(j)));
      if (starts && !a.start_timestamps().empty()) {
        CHECK(a.start_timestamps()[j] == b.start_timestamps()[j]);
      }
    }
  }
}

TEST_CASE("an appender goes on from the bytes of a chunk") {
  for (const GoldenSeries& series : AllGoldenSeries()) {
    const Encoding encoding = static_cast<Encoding>(series.encoding);
    if (KindOf(encoding) == SampleKind::kFloat) continue;
    SampleBuffer samples;
    for (const char* const chunk : series.chunks) {
      REQUIRE(
          DecodeChunk(encoding, FromHex(chunk), SIZE_MAX, kMinTimestamp, kMaxTimestamp, &samples)
              .ok());
    }
    const bool starts = !samples.start_timestamps().empty();
    if (KindOf(encoding) == SampleKind::kHistogram) {
      ResumeEverywhere<Histogram>(series, starts, samples, &SampleBuffer::histogram);
    } else {
      ResumeEverywhere<FloatHistogram>(series, starts, samples, &SampleBuffer::float_histogram);
    }
  }
}

TEST_CASE("what is no chunk cannot be resumed") {
  HistogramAppender appender;
  appender.Append(1000, Make({{0, 1}}, {5}));
  const std::string bytes(appender.bytes());
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK(appender.Resume(std::string_view(bytes).substr(0, size)).code() ==
          absl::StatusCode::kDataLoss);
    CHECK(appender.samples() == 0);
  }
  CHECK_FALSE(appender.Resume(bytes + "ab").ok());
  CHECK_FALSE(appender.Resume(std::string(3, '\0')).ok());
  CHECK(appender.Resume(bytes).ok());
}

TEST_CASE("the hints of decoded samples are those of upstream's readers") {
  HistogramAppender appender;
  Histogram reset = Make({{0, 1}}, {5});
  reset.reset_hint = CounterResetHint::kReset;
  appender.Append(1, reset);
  appender.Append(2, Make({{0, 1}}, {6}));
  const std::vector<Histogram> counters = Decode(appender.bytes());
  CHECK(counters[0].reset_hint == CounterResetHint::kUnknown);
  CHECK(counters[1].reset_hint == CounterResetHint::kNotReset);
  appender.Finish();
  appender.Append(3, Gauge(Make({{0, 1}}, {5})));
  CHECK(Decode(appender.bytes())[0].reset_hint == CounterResetHint::kGauge);
}

TEST_CASE("a reserved schema is reduced when it is read, an unknown one is data loss") {
  Histogram fine;
  fine.schema = 9;
  fine.positive_spans = {{1, 4}};
  fine.positive_deltas = {1, 1, 1, 1};
  fine.count = 10;
  HistogramAppender appender;
  appender.Append(1, fine);
  const Histogram reduced = Decode(appender.bytes())[0];
  CHECK(reduced.schema == 8);
  // Buckets 1 and 2 are one, and 3 and 4.
  CHECK(reduced.positive_spans == std::vector<HistogramSpan>{{1, 2}});
  CHECK(reduced.positive_deltas == std::vector<int64_t>{3, 4});
  // Further appends go on with what the chunk has.
  CHECK(appender.Append(2, fine) == HistogramAppend::kAppended);

  fine.schema = 60;
  appender.Reset();
  appender.Append(1, fine);
  SampleBuffer out;
  CHECK(HistogramDecode(appender.bytes(), false, SIZE_MAX, kMinTimestamp, kMaxTimestamp, &out)
            .code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("chunks of the head end by size and by time as upstream's do") {
  constexpr int64_t kRange = 7200000;
  HistogramChunkLimit limit;
  // Nothing but the end of the range while the chunk is small.
  limit.Begin(1000, kRange);
  CHECK_FALSE(limit.MustEnd(100, 255, 7000000, 7199999));
  CHECK(limit.MustEnd(100, 255, 7000000, 7200000));
  CHECK(limit.MustEnd(1, 255, 7000000, 7200000));
  // A quarter full after 30 samples, one a second: the range holds 62 chunks.
  limit.Begin(0, kRange);
  CHECK_FALSE(limit.MustEnd(30, 256, 29000, 30000));
  constexpr Timestamp kEnd = kRange / 62;
  CHECK_FALSE(limit.MustEnd(116, 1000, 115000, kEnd - 1));
  CHECK(limit.MustEnd(116, 1000, 115000, kEnd));
  // Large samples: twice the target at most, once there are ten.
  limit.Begin(0, kRange);
  CHECK_FALSE(limit.MustEnd(9, 5000, 8000, 9000));
  CHECK(limit.MustEnd(10, 5000, 9000, 10000));
  // Before the epoch.
  limit.Begin(-1, kRange);
  CHECK(limit.MustEnd(1, 100, -1, 0));
  CHECK_FALSE(limit.MustEnd(1, 100, -1, -1));
}

}  // namespace
}  // namespace narthex::chunkenc
