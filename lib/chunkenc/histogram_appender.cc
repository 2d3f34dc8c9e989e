// Histogram chunks, as format.md has them: what a chunk can take, and how samples are written.
#include "lib/chunkenc/histogram_appender.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/strings.h"

namespace narthex::chunkenc {
namespace {

// The buckets of both kinds as absolute counts, and back.
std::vector<int64_t> Absolute(std::span<const int64_t> deltas) {
  std::vector<int64_t> counts;
  counts.reserve(deltas.size());
  uint64_t count = 0;
  for (const int64_t delta : deltas) {
    count += static_cast<uint64_t>(delta);
    counts.push_back(static_cast<int64_t>(count));
  }
  return counts;
}
std::vector<int64_t> Deltas(std::span<const int64_t> counts) {
  std::vector<int64_t> deltas;
  deltas.reserve(counts.size());
  uint64_t previous = 0;
  for (const int64_t count : counts) {
    deltas.push_back(static_cast<int64_t>(static_cast<uint64_t>(count) - previous));
    previous = static_cast<uint64_t>(count);
  }
  return deltas;
}

std::vector<int64_t> Counts(std::span<const int64_t> fields) { return Absolute(fields); }
std::vector<double> Counts(std::span<const XorField> fields) {
  std::vector<double> counts;
  counts.reserve(fields.size());
  for (const XorField& field : fields) counts.push_back(field.value());
  return counts;
}

std::vector<int64_t> PositiveCounts(const Histogram& h) { return Absolute(h.positive_deltas); }
std::vector<int64_t> NegativeCounts(const Histogram& h) { return Absolute(h.negative_deltas); }
const std::vector<double>& PositiveCounts(const FloatHistogram& h) { return h.positive_buckets; }
const std::vector<double>& NegativeCounts(const FloatHistogram& h) { return h.negative_buckets; }
void SetCounts(std::span<const int64_t> positive, std::span<const int64_t> negative, Histogram* h) {
  h->positive_deltas = Deltas(positive);
  h->negative_deltas = Deltas(negative);
}
void SetCounts(std::vector<double> positive, std::vector<double> negative, FloatHistogram* h) {
  h->positive_buckets = std::move(positive);
  h->negative_buckets = std::move(negative);
}

size_t CountBuckets(const Histogram& h) {
  return h.positive_deltas.size() + h.negative_deltas.size();
}
size_t CountBuckets(const FloatHistogram& h) {
  return h.positive_buckets.size() + h.negative_buckets.size();
}
uint64_t LastCount(const HistogramFields& fields) { return fields.count; }
uint64_t LastZeroCount(const HistogramFields& fields) { return fields.zero_count; }
double LastCount(const FloatHistogramFields& fields) { return fields.count.value(); }
double LastZeroCount(const FloatHistogramFields& fields) { return fields.zero_count.value(); }

// How the buckets of a sample on one side lie to those of the chunk.
struct SideFit {
  bool reset = false;     // One has fewer observations, or is gone.
  bool forward = false;   // The sample has buckets that the chunk has not.
  bool backward = false;  // The chunk has buckets, never counted, that the sample has not.
};

template <typename Count>
SideFit CompareCounts(std::span<const int64_t> chunk, std::span<const Count> chunk_counts,
                      std::span<const int64_t> sample, std::span<const Count> sample_counts) {
  SideFit fit;
  size_t i = 0;
  size_t j = 0;
  while (i < chunk.size() || j < sample.size()) {
    if (i == chunk.size() || (j < sample.size() && sample[j] < chunk[i])) {
      fit.forward = true;
      ++j;
    } else if (j == sample.size() || chunk[i] < sample[j]) {
      if (chunk_counts[i] != 0) {
        fit.reset = true;
        return fit;
      }
      fit.backward = true;
      ++i;
    } else {
      if (chunk_counts[i] > sample_counts[j]) {
        fit.reset = true;
        return fit;
      }
      ++i;
      ++j;
    }
  }
  return fit;
}

// The same for buckets of the same spans: whether all have as many observations as before.
bool NoneFewer(const std::vector<int64_t>& chunk, const std::vector<int64_t>& sample) {
  uint64_t before = 0;
  uint64_t now = 0;
  bool fewer = false;
  for (size_t i = 0; i < sample.size(); ++i) {
    before += static_cast<uint64_t>(chunk[i]);
    now += static_cast<uint64_t>(sample[i]);
    fewer |= static_cast<int64_t>(before) > static_cast<int64_t>(now);
  }
  return !fewer;
}
bool NoneFewer(const std::vector<XorField>& chunk, const std::vector<double>& sample) {
  bool fewer = false;
  for (size_t i = 0; i < sample.size(); ++i) fewer |= chunk[i].value() > sample[i];
  return !fewer;
}
bool NoneFewer(const HistogramFields& fields, const Histogram& h) {
  return NoneFewer(fields.positive, h.positive_deltas) &&
         NoneFewer(fields.negative, h.negative_deltas);
}
bool NoneFewer(const FloatHistogramFields& fields, const FloatHistogram& h) {
  return NoneFewer(fields.positive, h.positive_buckets) &&
         NoneFewer(fields.negative, h.negative_buckets);
}

template <typename H>
bool SameSpans(const HistogramLayout& layout, const H& h) {
  return h.positive_spans == layout.positive_spans && h.negative_spans == layout.negative_spans;
}

bool SameBounds(std::span<const double> a, std::span<const double> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
    return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
  });
}

template <typename H>
bool SameScale(const HistogramLayout& layout, const H& h) {
  return h.schema == layout.schema && h.zero_threshold == layout.zero_threshold;
}

// The sample with the buckets of other spans, which have all of its own.
template <typename H>
H Widen(const H& h, const std::vector<HistogramSpan>& positive,
        const std::vector<HistogramSpan>& negative) {
  H wide = h;
  const auto spread = [](const std::vector<HistogramSpan>& from, const auto& counts,
                         const std::vector<HistogramSpan>& to) {
    using Count = typename std::decay_t<decltype(counts)>::value_type;
    return Spread<Count>(BucketIndices(from), counts, BucketIndices(to));
  };
  SetCounts(spread(h.positive_spans, PositiveCounts(h), positive),
            spread(h.negative_spans, NegativeCounts(h), negative), &wide);
  wide.positive_spans = positive;
  wide.negative_spans = negative;
  return wide;
}

std::vector<HistogramSpan> Merge(std::span<const HistogramSpan> a,
                                 std::span<const HistogramSpan> b) {
  return SpansOf(Union(BucketIndices(a), BucketIndices(b)));
}

}  // namespace

// Whether a sample can join the chunk, and with which spans.
template <typename H>
struct BasicHistogramAppender<H>::Fit {
  bool fits = false;
  // Of the chunk that begins with the sample, when it follows one that could not take it (fits is
  // false) or that was full.
  ResetHeader header = ResetHeader::kUnknown;
  // The sample must be given these spans first; the chunk too, when `recode`.
  bool widen = false;
  bool recode = false;
  std::vector<HistogramSpan> positive;
  std::vector<HistogramSpan> negative;
};

template <typename H>
typename BasicHistogramAppender<H>::Fit BasicHistogramAppender<H>::Compare(const H& h) const {
  // Integer histograms say of a chunk that follows one of gauges that there was no reset; float
  // histograms do not. So does upstream.
  constexpr bool kIsFloat = std::is_same_v<H, FloatHistogram>;
  Fit fit;
  if (header_ == ResetHeader::kGauge) {
    fit.header = kIsFloat ? ResetHeader::kUnknown : ResetHeader::kNotReset;
    return fit;
  }
  if (h.reset_hint == CounterResetHint::kReset) {
    fit.header = ResetHeader::kReset;
    return fit;
  }
  if (IsStale(h)) {
    fit.fits = true;
    fit.header = ResetHeader::kNotReset;
    return fit;
  }
  // Behind a staleness marker only others may follow.
  if (IsStale(fields_.sum.value())) return fit;
  if (h.count < LastCount(fields_)) {
    fit.header = ResetHeader::kReset;
    return fit;
  }
  // Another resolution may or may not go along with a reset.
  if (!SameScale(layout_, h)) return fit;
  fit.header = ResetHeader::kReset;
  if (h.uses_custom_buckets() && !SameBounds(h.custom_values, layout_.custom_values)) return fit;
  if (h.zero_count < LastZeroCount(fields_)) return fit;
  if (SameSpans(layout_, h)) {
    fit.fits = NoneFewer(fields_, h);
    if (fit.fits) fit.header = ResetHeader::kNotReset;
    return fit;
  }

  const std::vector<int64_t> chunk_positive = BucketIndices(layout_.positive_spans);
  const std::vector<int64_t> chunk_negative = BucketIndices(layout_.negative_spans);
  const auto compare = [](std::span<const int64_t> chunk, const auto& chunk_counts,
                          std::span<const HistogramSpan> spans, const auto& counts) {
    using Count = typename std::decay_t<decltype(counts)>::value_type;
    return CompareCounts<Count>(chunk, chunk_counts, BucketIndices(spans), counts);
  };
  const SideFit positive =
      compare(chunk_positive, Counts(fields_.positive), h.positive_spans, PositiveCounts(h));
  if (positive.reset) return fit;
  const SideFit negative =
      compare(chunk_negative, Counts(fields_.negative), h.negative_spans, NegativeCounts(h));
  if (negative.reset) return fit;

  fit.fits = true;
  fit.header = ResetHeader::kNotReset;
  fit.recode = positive.forward || negative.forward;
  fit.widen = positive.backward || negative.backward;
  if (fit.widen && !fit.recode) {
    fit.positive = layout_.positive_spans;
    fit.negative = layout_.negative_spans;
  } else if (fit.widen) {
    fit.positive =
        positive.backward ? Merge(layout_.positive_spans, h.positive_spans) : h.positive_spans;
    fit.negative =
        negative.backward ? Merge(layout_.negative_spans, h.negative_spans) : h.negative_spans;
  }
  return fit;
}

template <typename H>
typename BasicHistogramAppender<H>::Fit BasicHistogramAppender<H>::CompareGauge(const H& h) const {
  Fit fit;
  fit.header = ResetHeader::kGauge;
  if (header_ != ResetHeader::kGauge) return fit;
  if (IsStale(h)) {
    fit.fits = true;
    return fit;
  }
  if (IsStale(fields_.sum.value()) || !SameScale(layout_, h)) return fit;
  if (h.uses_custom_buckets() && !SameBounds(h.custom_values, layout_.custom_values)) return fit;
  fit.fits = true;
  if (SameSpans(layout_, h)) return fit;
  const auto has_more = [](std::span<const int64_t> a, std::span<const int64_t> b) {
    return !std::includes(b.begin(), b.end(), a.begin(), a.end());
  };
  const std::vector<int64_t> chunk_positive = BucketIndices(layout_.positive_spans);
  const std::vector<int64_t> chunk_negative = BucketIndices(layout_.negative_spans);
  const std::vector<int64_t> positive = BucketIndices(h.positive_spans);
  const std::vector<int64_t> negative = BucketIndices(h.negative_spans);
  fit.recode = has_more(positive, chunk_positive) || has_more(negative, chunk_negative);
  fit.widen = has_more(chunk_positive, positive) || has_more(chunk_negative, negative);
  if (fit.widen) {
    fit.positive = SpansOf(Union(chunk_positive, positive));
    fit.negative = SpansOf(Union(chunk_negative, negative));
  }
  return fit;
}

template <typename H>
ResetHeader BasicHistogramAppender<H>::HeaderOfNext(const H& h) const {
  if (h.reset_hint == CounterResetHint::kGauge) return ResetHeader::kGauge;
  // Behind a chunk of gauges a hint that this is a reset does not count, as upstream has it.
  if (next_header_known_) return next_header_;
  if (h.reset_hint == CounterResetHint::kReset) return ResetHeader::kReset;
  if (!has_last_) return ResetHeader::kUnknown;
  const ResetHeader header = Compare(h).header;
  if constexpr (std::is_same_v<H, FloatHistogram>) {
    // A full chunk is followed by "no reset" wherever none was seen, even where none was looked
    // for. So does upstream.
    return header == ResetHeader::kReset ? header : ResetHeader::kNotReset;
  }
  return header;
}

template <typename H>
HistogramAppend BasicHistogramAppender<H>::Append(Timestamp timestamp, const H& h,
                                                  Timestamp start) {
  if (samples_ == 0) {
    header_ = HeaderOfNext(h);
    next_header_known_ = false;
    Write(timestamp, h, start);
    return HistogramAppend::kAppended;
  }
  if (samples_ == (with_starts_ ? kHistogramStCountMax : UINT16_MAX)) {
    return HistogramAppend::kNewChunk;
  }
  const Fit fit = h.reset_hint == CounterResetHint::kGauge ? CompareGauge(h) : Compare(h);
  if (!fit.fits) {
    next_header_known_ = true;
    next_header_ = fit.header;
    return HistogramAppend::kNewChunk;
  }
  if (!fit.widen && !fit.recode) {
    Write(timestamp, h, start);
    return HistogramAppend::kAppended;
  }
  if (!fit.widen) {
    Recode(h);
    Write(timestamp, h, start);
    return HistogramAppend::kRecoded;
  }
  const H wide = Widen(h, fit.positive, fit.negative);
  if (fit.recode) Recode(wide);
  Write(timestamp, wide, start);
  return fit.recode ? HistogramAppend::kRecoded : HistogramAppend::kAppended;
}

template <typename H>
void BasicHistogramAppender<H>::Write(Timestamp timestamp, const H& histogram, Timestamp start) {
  H marker;
  const H* sample = &histogram;
  if (IsStale(histogram)) {  // Of which nothing but that is kept.
    marker.sum = histogram.sum;
    sample = &marker;
  }
  if (samples_ == 0) {
    bytes_.assign(kHistogramHeaderBytes, '\0');
    free_bits_ = 0;
    starts_ = StartTimestamps();
    delta_ = 0;
    layout_ = {sample->schema, sample->zero_threshold, sample->positive_spans,
               sample->negative_spans, sample->custom_values};
  }
  // Time, counts and sum, and the eight bytes that a store of bits may take.
  constexpr size_t kFixedBits = 4 * kFieldBitsMax + StartTimestamps::kBitsMax + 128;
  const size_t bits_max = kFixedBits + kFieldBitsMax * CountBuckets(*sample) +
                          (samples_ == 0 ? LayoutBitsMax(layout_) : 0);
  const size_t size = bytes_.size();
  bytes_.resize(size + bits_max / 8 + 1);
  uint8_t* const data = reinterpret_cast<uint8_t*>(bytes_.data());
  BitWriter writer(data + size, free_bits_);
  if (samples_ == 0) {
    WriteLayout(&writer, layout_);
    WriteVarbitInt(&writer, timestamp);
    WriteFirst(&writer, *sample, &fields_);
  } else {
    const int64_t delta = WrappingDifference(timestamp, timestamp_);
    WriteVarbitInt(&writer, WrappingDifference(delta, delta_));
    WriteNext(&writer, *sample, &fields_);
    delta_ = delta;
  }
  if (with_starts_) starts_.Write(&writer, samples_, timestamp, timestamp_, start);
  const uint8_t* const end = writer.Finish(&free_bits_);
  bytes_.resize(static_cast<size_t>(end - data));
  timestamp_ = timestamp;
  has_last_ = true;
  ++samples_;
  StoreHeader();
}

template <typename H>
void BasicHistogramAppender<H>::StoreHeader() {
  const uint8_t flags = static_cast<uint8_t>(header_);
  const uint16_t count =
      with_starts_ ? static_cast<uint16_t>(uint16_t{flags} << 8 | samples_) : samples_;
  StoreBig(bytes_.data(), count);
  bytes_[2] = static_cast<char>(with_starts_ ? starts_.header() : flags);
}

template <typename H>
void BasicHistogramAppender<H>::Recode(const H& widened) {
  const std::string old = std::move(bytes_);
  samples_ = 0;
  HistogramReader<H> reader(old, with_starts_);
  while (reader.Next()) {
    const H sample = ToHistogram(reader.layout(), reader.fields());
    Write(reader.timestamp(), Widen(sample, widened.positive_spans, widened.negative_spans),
          reader.starts().start());
  }
  NARTHEX_CHECK(reader.status().ok());
}

template <typename H>
std::string BasicHistogramAppender<H>::Finish() {
  samples_ = 0;
  return std::exchange(bytes_, std::string());
}

template <typename H>
void BasicHistogramAppender<H>::Reset() {
  *this = BasicHistogramAppender(with_starts_);
}

template <typename H>
absl::Status BasicHistogramAppender<H>::Resume(std::string_view bytes) {
  Reset();
  HistogramReader<H> reader(bytes, with_starts_);
  while (reader.Next()) {
  }
  if (!reader.status().ok()) return reader.status();
  const size_t free_bits = 8 * bytes.size() - reader.bit_position();
  if (reader.samples() == 0 || free_bits > 8) {
    return DataLoss("histogram chunk of ", bytes.size(), " bytes: its ", reader.samples(),
                    " samples end at bit ", reader.bit_position());
  }
  bytes_ = bytes;
  // Prometheus leaves a zero byte behind samples that end with a byte.
  if (free_bits == 8) bytes_.pop_back();
  free_bits_ = static_cast<uint8_t>(free_bits % 8);
  samples_ = reader.samples();
  header_ = reader.reset_header();
  has_last_ = true;
  timestamp_ = reader.timestamp();
  delta_ = reader.delta();
  layout_ = reader.layout();
  fields_ = reader.fields();
  OpenWindows(&fields_);
  starts_ = reader.starts();
  return absl::OkStatus();
}

template <typename H>
Encoding BasicHistogramAppender<H>::encoding() const {
  return EncodingOf(
      std::is_same_v<H, Histogram> ? SampleKind::kHistogram : SampleKind::kFloatHistogram,
      with_starts_);
}

template <typename H>
H BasicHistogramAppender<H>::Last() const {
  NARTHEX_CHECK(has_last_);
  return ToHistogram(layout_, fields_);
}

template <typename H>
bool BasicHistogramAppender<H>::IsLast(const H& histogram) const {
  return has_last_ && Same(Last(), histogram);
}

template <typename H>
size_t BasicHistogramAppender<H>::memory_bytes() const {
  return sizeof(*this) + bytes_.capacity() + MemoryBytes(fields_) +
         sizeof(HistogramSpan) *
             (layout_.positive_spans.capacity() + layout_.negative_spans.capacity()) +
         sizeof(double) * layout_.custom_values.capacity();
}

template class BasicHistogramAppender<Histogram>;
template class BasicHistogramAppender<FloatHistogram>;

void HistogramChunkLimit::Begin(Timestamp timestamp, int64_t range_ms) {
  begin_ = timestamp;
  // Division towards minus infinity, so that ranges before the epoch are as long as others.
  const int64_t into = (timestamp % range_ms + range_ms) % range_ms;
  range_end_ = WrappingSum(timestamp, range_ms - into);
  if (range_end_ < timestamp) range_end_ = kMaxTimestamp;
  end_ = range_end_;
  predicted_ = false;
}

bool HistogramChunkLimit::MustEnd(size_t samples, size_t bytes, Timestamp last,
                                  Timestamp timestamp) {
  // Once a quarter is full, the rest of the range is cut into chunks of about the size that is
  // aimed at.
  if (!predicted_ && bytes >= kTargetBytes / 4) {
    predicted_ = true;
    const double full = static_cast<double>(kTargetBytes) / static_cast<double>(bytes);
    const double range = static_cast<double>(WrappingDifference(end_, begin_));
    const double taken = static_cast<double>(WrappingDifference(last, begin_)) + 1;
    const double chunks = range / (taken * full);
    if (chunks > 1) {
      end_ = WrappingSum(begin_, static_cast<int64_t>(range / std::floor(chunks)));
    }
  }
  if (timestamp < end_ && bytes < 2 * kTargetBytes) return false;
  return samples >= kSamplesMin || timestamp >= range_end_;
}

}  // namespace narthex::chunkenc
