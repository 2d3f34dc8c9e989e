#include "services/query/api/value_writer.h"

#include <charconv>
#include <variant>

#include "lib/base/float_format.h"
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

void WriteVector(const promql::Vector& vector, json::Writer* writer) {
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
  }
  writer->EndArray();
}

// The bulk of most answers: the text goes straight behind what the writer has written. A series
// without numbers has no such member.
void WriteNumbers(const SampleBuffer& samples, json::Writer* writer, std::string* out) {
  const std::span<const Timestamp> timestamps = samples.timestamps();
  const std::span<const double> values = samples.values();
  bool any = false;
  for (size_t i = 0; i < timestamps.size(); ++i) {
    if (samples.kind(i) != SampleKind::kFloat) continue;
    if (!any) {
      writer->Key("values");
      writer->Raw("");
    }
    out->push_back(any ? ',' : '[');
    any = true;
    AppendPoint(out, timestamps[i], values[i]);
  }
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

void WriteMatrix(const promql::Matrix& matrix, json::Writer* writer, std::string* out) {
  writer->BeginArray();
  for (const promql::Series& series : matrix) {
    writer->BeginObject();
    writer->Key("metric");
    WriteLabels(series.labels, writer);
    WriteNumbers(series.samples, writer, out);
    if (series.samples.has_histograms()) WriteHistograms(series.samples, writer, out);
    writer->EndObject();
  }
  writer->EndArray();
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

void WriteValue(const promql::Value& value, json::Writer* writer, std::string* out) {
  writer->Key("resultType");
  writer->String(promql::ValueTypeName(promql::TypeOf(value)));
  writer->Key("result");
  if (const auto* vector = std::get_if<promql::Vector>(&value)) {
    WriteVector(*vector, writer);
  } else if (const auto* matrix = std::get_if<promql::Matrix>(&value)) {
    WriteMatrix(*matrix, writer, out);
  } else {
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
  }
}

void WriteStats(const promql::QueryStats& stats, json::Writer* writer) {
  promql::WriteQueryStats(stats, writer);
}

}  // namespace narthex::query_api
