#include "services/query/api/value_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/float_format.h"
#include "lib/base/sample_text.h"
#include "lib/base/strings.h"
#include "services/query/promql/histogram_buckets.h"
#include "services/query/promql/query_log.h"

namespace narthex::query_api {
namespace {

// [1435781451.781,"1"]
void AppendPoint(std::string* out, Timestamp timestamp, double value) {
  out->push_back('[');
  AppendTimestamp(out, timestamp);
  out->append(",\"");
  AppendSampleValue(out, value);
  out->append("\"]");
}

// The buckets of a histogram in ascending order, those without observations left out:
// [boundaries,"lower","upper","count"], where boundaries is 0 for (lower, upper], 1 for
// [lower, upper), 2 for (lower, upper) and 3 for [lower, upper].
void AppendHistogram(std::string* out, const FloatHistogram& histogram) {
  out->append("{\"count\":\"");
  AppendSampleValue(out, histogram.count);
  out->append("\",\"sum\":\"");
  AppendSampleValue(out, histogram.sum);
  out->push_back('"');
  bool any = false;
  for (const promql::HistogramBucket& bucket : promql::AllBuckets(histogram)) {
    if (bucket.count == 0) continue;
    out->append(any ? "," : ",\"buckets\":[");
    any = true;
    int boundaries = 2;
    if (bucket.lower_inclusive) boundaries = bucket.upper_inclusive ? 3 : 1;
    if (!bucket.lower_inclusive && bucket.upper_inclusive) boundaries = 0;
    StrAppend(out, "[", boundaries, ",\"");
    AppendSampleValue(out, bucket.lower);
    out->append("\",\"");
    AppendSampleValue(out, bucket.upper);
    out->append("\",\"");
    AppendSampleValue(out, bucket.count);
    out->append("\"]");
  }
  out->append(any ? "]}" : "}");
}

// [1435781451.781,{"count":…}]
void AppendHistogramPoint(std::string* out, Timestamp timestamp, const FloatHistogram& histogram) {
  out->push_back('[');
  AppendTimestamp(out, timestamp);
  out->push_back(',');
  AppendHistogram(out, histogram);
  out->push_back(']');
}

// `,[1435781451.781,"` of each step of a series: other series of the answer have the same.
class StepTexts {
 public:
  void Set(std::span<const Timestamp> timestamps) {
    if (std::equal(timestamps.begin(), timestamps.end(), timestamps_.begin(), timestamps_.end())) {
      return;
    }
    timestamps_.assign(timestamps.begin(), timestamps.end());
    text_.clear();
    ends_.assign(1, 0);
    for (const Timestamp timestamp : timestamps_) {
      text_.append(",[");
      AppendTimestamp(&text_, timestamp);
      text_.append(",\"");
      ends_.push_back(text_.size());
    }
  }
  std::string_view operator[](size_t i) const {
    return std::string_view(text_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }

 private:
  std::vector<Timestamp> timestamps_;
  std::string text_;
  std::vector<size_t> ends_;
};

bool WriteVector(const promql::Vector& vector, json::Writer* writer, const Drain& drain) {
  std::string point;
  writer->BeginArray();
  for (const promql::VectorSample& sample : vector) {
    writer->BeginObject();
    writer->Key("metric");
    WriteLabels(sample.labels, writer);
    point.clear();
    if (sample.histogram != nullptr) {
      writer->Key("histogram");
      AppendHistogramPoint(&point, sample.timestamp, *sample.histogram);
    } else {
      writer->Key("value");
      AppendPoint(&point, sample.timestamp, sample.value);
    }
    writer->Raw(point);
    writer->EndObject();
    if (drain != nullptr && !drain()) return false;
  }
  writer->EndArray();
  return true;
}

// The bulk of most answers: the text goes straight behind what the writer has written. A series
// without numbers has no such member.
void WriteNumbers(const SampleBuffer& samples, json::Writer* writer, std::string* out,
                  StepTexts* steps) {
  const std::span<const double> values = samples.values();
  const bool mixed = samples.has_histograms();
  steps->Set(samples.timestamps());
  // Texts gather here: a string that grows by a few bytes at a time is slower.
  constexpr size_t kBufferBytes = 4096;
  constexpr size_t kPointBytesMax = 40 + kSampleValueBytesMax;
  std::array<char, kBufferBytes> buffer;
  char* end = buffer.data();
  bool any = false;
  for (size_t i = 0; i < values.size(); ++i) {
    if (mixed && samples.kind(i) != SampleKind::kFloat) continue;
    std::string_view step = (*steps)[i];
    if (!any) {
      writer->Key("values");
      writer->Raw("[");
      step.remove_prefix(1);  // The comma.
      any = true;
    }
    if (buffer.data() + kBufferBytes - end < static_cast<ptrdiff_t>(kPointBytesMax)) {
      out->append(buffer.data(), end);
      end = buffer.data();
    }
    end += step.copy(end, step.size());
    end = WriteSampleValue(end, values[i]);
    *end++ = '"';
    *end++ = ']';
  }
  out->append(buffer.data(), end);
  if (any) out->push_back(']');
}

void WriteHistograms(const SampleBuffer& samples, json::Writer* writer, std::string* out) {
  writer->Key("histograms");
  writer->Raw("");
  bool any = false;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples.kind(i) != SampleKind::kFloatHistogram) continue;
    out->push_back(any ? ',' : '[');
    any = true;
    AppendHistogramPoint(out, samples.timestamps()[i], samples.float_histogram(i));
  }
  out->append(any ? "]" : "[]");
}

bool WriteMatrix(const promql::Matrix& matrix, json::Writer* writer, std::string* out,
                 const Drain& drain) {
  StepTexts steps;
  writer->BeginArray();
  for (const promql::Series& series : matrix) {
    writer->BeginObject();
    writer->Key("metric");
    WriteLabels(series.labels, writer);
    WriteNumbers(series.samples, writer, out, &steps);
    if (series.samples.has_histograms()) WriteHistograms(series.samples, writer, out);
    writer->EndObject();
    if (drain != nullptr && !drain()) return false;
  }
  writer->EndArray();
  return true;
}

}  // namespace

void AppendTimestamp(std::string* out, Timestamp timestamp) {
  uint64_t magnitude = static_cast<uint64_t>(timestamp);
  if (timestamp < 0) {
    out->push_back('-');
    magnitude = 0 - magnitude;
  }
  char buffer[32];
  const std::to_chars_result result =
      std::to_chars(buffer, buffer + sizeof buffer, magnitude / 1000);
  char* end = result.ptr;
  if (const uint64_t fraction = magnitude % 1000; fraction != 0) {
    *end++ = '.';
    *end++ = static_cast<char>('0' + fraction / 100);
    *end++ = static_cast<char>('0' + fraction / 10 % 10);
    *end++ = static_cast<char>('0' + fraction % 10);
  }
  out->append(buffer, end);
}

void WriteLabels(const Labels& labels, json::Writer* writer) {
  writer->BeginObject();
  for (const LabelView label : labels) {
    writer->Key(label.name);
    writer->String(label.value);
  }
  writer->EndObject();
}

std::string FormatApiTime(absl::Time time) {
  if (time == absl::InfinitePast()) return "0001-01-01T00:00:00Z";
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

size_t EstimateJsonBytes(const promql::Value& value) {
  constexpr size_t kSeriesBytes = 200;
  constexpr size_t kPointBytes = 30;
  size_t bytes = kSeriesBytes;
  if (const auto* vector = std::get_if<promql::Vector>(&value)) {
    bytes += vector->size() * (kSeriesBytes + kPointBytes);
  } else if (const auto* matrix = std::get_if<promql::Matrix>(&value)) {
    for (const promql::Series& series : *matrix) {
      bytes += kSeriesBytes + series.samples.size() * kPointBytes;
    }
  }
  return bytes;
}

bool WriteValue(const promql::Value& value, json::Writer* writer, std::string* out,
                const Drain& drain) {
  writer->Key("resultType");
  writer->String(promql::ValueTypeName(promql::TypeOf(value)));
  writer->Key("result");
  if (const auto* vector = std::get_if<promql::Vector>(&value)) {
    return WriteVector(*vector, writer, drain);
  }
  if (const auto* matrix = std::get_if<promql::Matrix>(&value)) {
    return WriteMatrix(*matrix, writer, out, drain);
  }
  std::string text = "[";
  if (const auto* scalar = std::get_if<promql::Scalar>(&value)) {
    AppendTimestamp(&text, scalar->timestamp);
    // A scalar never has an exponent.
    StrAppend(&text, ",\"", FormatFloat(scalar->value), "\"]");
  } else {
    const promql::String& string = std::get<promql::String>(value);
    AppendTimestamp(&text, string.timestamp);
    text.push_back(',');
    json::AppendQuoted(&text, string.value);
    text.push_back(']');
  }
  writer->Raw(text);
  return true;
}

void WriteStats(const promql::QueryStats& stats, json::Writer* writer) {
  promql::WriteQueryStats(stats, writer);
}

}  // namespace narthex::query_api
