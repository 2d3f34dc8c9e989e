// Histogram chunks, as format.md has them: header, layout, and samples bit by bit.
#include "lib/chunkenc/histogram_reader.h"

#include <algorithm>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/varbit.h"

namespace narthex::chunkenc {
namespace {

// Time, two counts and the sum.
constexpr size_t kSampleBitsMin = 4;

CounterResetHint HintOf(ResetHeader header, size_t index) {
  if (header == ResetHeader::kGauge) return CounterResetHint::kGauge;
  // The chunk before may be gone, or others may have come between: of the first sample nothing is
  // known.
  return index == 0 ? CounterResetHint::kUnknown : CounterResetHint::kNotReset;
}

}  // namespace

template <typename H>
HistogramReader<H>::HistogramReader(std::string_view bytes, bool with_starts)
    : bytes_(bytes), with_starts_(with_starts), reader_(bytes) {
  if (bytes.size() < kHistogramHeaderBytes) {
    Fail("no header");
    return;
  }
  const uint16_t count = LoadBig<uint16_t>(bytes.data());
  const uint8_t third = static_cast<uint8_t>(bytes[2]);
  const uint8_t flags = with_starts ? static_cast<uint8_t>(bytes[0]) : third;
  samples_ = with_starts ? static_cast<uint16_t>(count & kHistogramStCountMax) : count;
  reset_header_ = static_cast<ResetHeader>(flags & kResetHeaderMask);
  if (with_starts) starts_.SetHeader(third);
  reader_.Skip(8 * kHistogramHeaderBytes);
  if (samples_ > reader_.remaining() / kSampleBitsMin) Fail("more samples than bits");
}

template <typename H>
bool HistogramReader<H>::Fail(std::string_view what) {
  status_ = DataLoss("histogram chunk of ", bytes_.size(), " bytes and ", samples_,
                     " samples, at sample ", read_, ": ", what);
  return false;
}

template <typename H>
bool HistogramReader<H>::Next() {
  if (!status_.ok() || read_ == samples_) return false;
  const Timestamp previous = timestamp_;
  int64_t time;
  if (read_ == 0) {
    if (!ReadLayout(&reader_, &layout_)) return Fail("malformed layout");
    if (!IsKnownSchema(layout_.schema)) {
      return Fail(StrCat("unknown schema ", layout_.schema));
    }
    if (!ReadVarbitInt(&reader_, &timestamp_) || !ReadFirst(&reader_, layout_, &fields_)) {
      return Fail("its bits end");
    }
  } else {
    if (!ReadVarbitInt(&reader_, &time)) return Fail("its bits end");
    delta_ = WrappingSum(delta_, time);
    timestamp_ = WrappingSum(timestamp_, delta_);
    if (timestamp_ <= previous) return Fail("its timestamp is not after the one before it");
    if (!ReadNext(&reader_, &fields_)) return Fail("its bits end");
  }
  if (with_starts_ && !starts_.Read(&reader_, read_, timestamp_, previous)) {
    return Fail("its bits end within its start timestamp");
  }
  ++read_;
  return true;
}

template <typename H>
H HistogramReader<H>::Sample() const {
  H histogram = ToHistogram(layout_, fields_);
  if (IsStale(histogram)) return histogram;
  histogram.reset_hint = HintOf(reset_header_, index());
  if (histogram.schema > kExponentialSchemaMax) ReduceResolution(kExponentialSchemaMax, &histogram);
  return histogram;
}

template <typename H>
size_t HistogramReader<H>::bit_position() const {
  return reader_.position();
}

template class HistogramReader<Histogram>;
template class HistogramReader<FloatHistogram>;

namespace {

void Append(Timestamp timestamp, Histogram histogram, SampleBuffer* out) {
  out->AppendHistogram(timestamp, std::move(histogram));
}
void Append(Timestamp timestamp, FloatHistogram histogram, SampleBuffer* out) {
  out->AppendFloatHistogram(timestamp, std::move(histogram));
}

template <typename H>
absl::Status Decode(std::string_view bytes, bool with_starts, size_t samples_max,
                    Timestamp min_time, Timestamp max_time, SampleBuffer* out) {
  HistogramReader<H> reader(bytes, with_starts);
  const size_t start = out->size();
  for (size_t i = 0; i < samples_max && reader.Next(); ++i) {
    if (reader.timestamp() > max_time) break;
    if (reader.timestamp() < min_time) continue;
    Append(reader.timestamp(), reader.Sample(), out);
    if (with_starts) out->SetStartTimestamp(reader.starts().start());
  }
  if (!reader.status().ok()) out->Resize(start);
  return reader.status();
}

}  // namespace

absl::Status HistogramDecode(std::string_view bytes, bool with_starts, size_t samples_max,
                             Timestamp min_time, Timestamp max_time, SampleBuffer* out) {
  return Decode<Histogram>(bytes, with_starts, samples_max, min_time, max_time, out);
}

absl::Status FloatHistogramDecode(std::string_view bytes, bool with_starts, size_t samples_max,
                                  Timestamp min_time, Timestamp max_time, SampleBuffer* out) {
  return Decode<FloatHistogram>(bytes, with_starts, samples_max, min_time, max_time, out);
}

}  // namespace narthex::chunkenc
