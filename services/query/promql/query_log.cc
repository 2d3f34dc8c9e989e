#include "services/query/promql/query_log.h"

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

std::string LogTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

void Member(json::Writer* writer, std::string_view key, std::string_view value) {
  writer->Key(key);
  writer->String(value);
}

void WriteOrigin(const QueryOrigin& origin, json::Writer* writer) {
  if (!origin.path.empty()) {
    writer->Key("httpRequest");
    writer->BeginObject();
    Member(writer, "clientIP", origin.client_ip);
    Member(writer, "method", origin.method);
    Member(writer, "path", origin.path);
    writer->EndObject();
  }
  if (!origin.rule_group.empty()) {
    writer->Key("ruleGroup");
    writer->BeginObject();
    Member(writer, "file", origin.rule_file);
    Member(writer, "name", origin.rule_group);
    writer->EndObject();
  }
}

void WriteStepSamples(const QueryStats& stats, json::Writer* writer) {
  writer->Key("totalQueryableSamplesPerStep");
  writer->BeginArray();
  for (size_t i = 0; i < stats.samples_per_step.size(); ++i) {
    const Timestamp time = stats.first_step + static_cast<int64_t>(i) * stats.step_ms;
    writer->BeginArray();
    writer->Double(static_cast<double>(time) / 1000);
    writer->Uint(stats.samples_per_step[i]);
    writer->EndArray();
  }
  writer->EndArray();
}

}  // namespace

void WriteQueryStats(const QueryStats& stats, json::Writer* writer) {
  const auto seconds = [writer](std::string_view key, absl::Duration duration) {
    writer->Key(key);
    writer->Double(absl::ToDoubleSeconds(duration));
  };
  writer->BeginObject();
  writer->Key("timings");
  writer->BeginObject();
  const absl::Duration evaluation =
      stats.preparation_time + stats.evaluation_time + stats.sort_time;
  seconds("evalTotalTime", evaluation);
  seconds("resultSortTime", stats.sort_time);
  seconds("queryPreparationTime", stats.preparation_time);
  seconds("innerEvalTime", stats.evaluation_time);
  seconds("execQueueTime", stats.queue_time);
  seconds("execTotalTime", stats.queue_time + evaluation);
  writer->EndObject();
  writer->Key("samples");
  writer->BeginObject();
  if (!stats.samples_per_step.empty()) WriteStepSamples(stats, writer);
  writer->Key("totalQueryableSamples");
  writer->Uint(stats.samples_queryable);
  writer->Key("samplesRead");
  writer->Uint(stats.samples_read);
  writer->Key("peakSamples");
  writer->Uint(stats.samples_peak);
  writer->EndObject();
  writer->EndObject();
}

absl::StatusOr<std::unique_ptr<QueryLog>> QueryLog::Open(io::FileSystem* file_system,
                                                         const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::WritableFile> file, file_system->OpenAppend(path));
  return std::unique_ptr<QueryLog>(new QueryLog(std::move(file)));
}

absl::Status QueryLog::Write(const QueryLogEntry& entry) {
  std::string line;
  json::Writer writer(&line);
  writer.BeginObject();
  Member(&writer, "time", LogTime(entry.time));
  Member(&writer, "level", "INFO");
  Member(&writer, "msg", "promql query logged");
  writer.Key("params");
  writer.BeginObject();
  Member(&writer, "end", LogTime(FromTimestamp(entry.end)));
  Member(&writer, "query", entry.query);
  Member(&writer, "start", LogTime(FromTimestamp(entry.start)));
  writer.Key("step");
  writer.Int(entry.step_ms / 1000);
  writer.EndObject();
  if (!entry.status.ok()) Member(&writer, "error", Message(entry.status));
  writer.Key("stats");
  WriteQueryStats(*entry.stats, &writer);
  if (entry.origin != nullptr) WriteOrigin(*entry.origin, &writer);
  writer.EndObject();
  line.push_back('\n');
  const MutexLock lock(&mu_);
  return file_->Append(line);
}

}  // namespace narthex::promql
