#include <fstream>
#include <iostream>
#include <string>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "lib/metrics/registry.h"
#include "services/query/promql/engine.h"
#include "tests/support/memory_storage.h"

// promql_evaluate_tool SERIES < QUERIES: evaluates over MemoryStorage what differential_test.py
// also asks Prometheus. SERIES has lines "metric timestamp_ms:value …"; a query is a line
// "instant\tms\texpression" or "range\tstart_ms\tend_ms\tstep_ms\texpression". Each answer is a
// line of JSON in the form of the HTTP API's data, or {"error": …}.
namespace narthex {
namespace {

void Fail(const std::string& message) {
  std::cerr << message << "\n";
  std::exit(1);
}

void LoadSeries(const std::string& path, testing::MemoryStorage* storage) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::vector<std::string_view> parts = Split(line, '\t');
    const absl::StatusOr<Labels> labels = promql::ParseMetric(parts[0]);
    if (!labels.ok()) Fail(StrCat(parts[0], ": ", Message(labels.status())));
    for (const std::string_view sample : Split(parts[1], ' ')) {
      const size_t colon = sample.find(':');
      int64_t timestamp = 0;
      double value = 0;
      if (!ParseInt64(sample.substr(0, colon), &timestamp) ||
          !ParseDouble(sample.substr(colon + 1), &value)) {
        Fail(StrCat("bad sample ", sample));
      }
      storage->Append(*labels, timestamp, value);
    }
  }
}

void WriteSample(Timestamp timestamp, double value, json::Writer* writer) {
  writer->BeginArray();
  writer->Double(static_cast<double>(timestamp) / 1000);
  std::string text;
  AppendSampleValue(&text, value);
  writer->String(text);
  writer->EndArray();
}

void WriteLabels(const Labels& labels, json::Writer* writer) {
  writer->Key("metric");
  writer->BeginObject();
  for (const LabelView& label : labels) {
    writer->Key(label.name);
    writer->String(label.value);
  }
  writer->EndObject();
}

void WriteValue(const promql::Value& value, json::Writer* writer) {
  if (const auto* scalar = std::get_if<promql::Scalar>(&value)) {
    WriteSample(scalar->timestamp, scalar->value, writer);
  } else if (const auto* text = std::get_if<promql::String>(&value)) {
    writer->String(text->value);
  } else if (const auto* vector = std::get_if<promql::Vector>(&value)) {
    writer->BeginArray();
    for (const promql::VectorSample& sample : *vector) {
      writer->BeginObject();
      WriteLabels(sample.labels, writer);
      writer->Key("value");
      WriteSample(sample.timestamp, sample.value, writer);
      writer->EndObject();
    }
    writer->EndArray();
  } else {
    writer->BeginArray();
    for (const promql::Series& series : std::get<promql::Matrix>(value)) {
      writer->BeginObject();
      WriteLabels(series.labels, writer);
      writer->Key("values");
      writer->BeginArray();
      for (size_t i = 0; i < series.samples.size(); ++i) {
        WriteSample(series.samples.timestamps()[i], series.samples.values()[i], writer);
      }
      writer->EndArray();
      writer->EndObject();
    }
    writer->EndArray();
  }
}

absl::StatusOr<promql::Result> Evaluate(promql::Engine* engine, testing::MemoryStorage* storage,
                                        const std::vector<std::string_view>& parts) {
  int64_t start = 0;
  int64_t end = 0;
  int64_t step = 0;
  if (parts[0] == "instant" && parts.size() == 3 && ParseInt64(parts[1], &start)) {
    return engine->Instant(storage, parts[2], start);
  }
  if (parts[0] == "range" && parts.size() == 5 && ParseInt64(parts[1], &start) &&
      ParseInt64(parts[2], &end) && ParseInt64(parts[3], &step)) {
    return engine->Range(storage, parts[4], start, end, step);
  }
  return InvalidArgument("bad line");
}

int Main(int argc, char** argv) {
  if (argc != 2) Fail("usage: promql_evaluate_tool SERIES < QUERIES");
  testing::MemoryStorage storage;
  LoadSeries(argv[1], &storage);
  metrics::Registry registry;
  promql::Engine engine({}, RealClock(), &registry);
  std::string line;
  while (std::getline(std::cin, line)) {
    const absl::StatusOr<promql::Result> result = Evaluate(&engine, &storage, Split(line, '\t'));
    std::string json;
    json::Writer writer(&json);
    writer.BeginObject();
    if (result.ok()) {
      writer.Key("resultType");
      writer.String(promql::ValueTypeName(promql::TypeOf(result->value)));
      writer.Key("result");
      WriteValue(result->value, &writer);
    } else {
      writer.Key("error");
      writer.String(Message(result.status()));
    }
    writer.EndObject();
    std::cout << json << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace narthex

int main(int argc, char** argv) { return narthex::Main(argc, argv); }
