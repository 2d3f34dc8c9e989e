#include "services/storage/remote/write_handler.h"

#include <algorithm>
#include <utility>

#include "lib/base/snappy.h"
#include "lib/base/strings.h"
#include "services/storage/remote/write_session.h"
#include "services/storage/remote/write_v1.h"
#include "services/storage/remote/write_v2.h"

namespace narthex::storage_remote {
namespace {

constexpr absl::Duration kProblemLogInterval = absl::Seconds(10);
// What a work area keeps from request to request.
constexpr size_t kKeptBytesMax = size_t{16} << 20;

constexpr std::string_view kMediaType = "application/x-protobuf";
constexpr std::string_view kV1Message = "prometheus.WriteRequest";
constexpr std::string_view kV2Message = "io.prometheus.write.v2.Request";

std::string_view NameOf(WriteVersion version) {
  return version == WriteVersion::kV1 ? kV1Message : kV2Message;
}

}  // namespace

absl::StatusOr<WriteVersion> ParseWriteVersion(std::string_view content_type) {
  content_type = TrimSpace(content_type);
  if (content_type.empty()) return WriteVersion::kV1;
  const std::vector<std::string_view> parts = Split(content_type, ';');
  if (TrimSpace(parts[0]) != kMediaType) {
    return InvalidArgument("expected ", kMediaType, " as the first (media) part, got ",
                           content_type, " content-type");
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::vector<std::string_view> pair = Split(TrimSpace(parts[i]), '=');
    if (pair.size() != 2) {
      return InvalidArgument("expected parameters to be key-values, got ", parts[i], " in ",
                             content_type, " content-type");
    }
    if (pair[0] != "proto") continue;
    if (pair[1] == kV1Message) return WriteVersion::kV1;
    if (pair[1] == kV2Message) return WriteVersion::kV2;
    return InvalidArgument("unknown remote write protobuf message ", pair[1]);
  }
  return WriteVersion::kV1;
}

struct WriteHandler::Work {
  explicit Work(const Options& options)
      : session(&options.db->head(), options.cache, options.metadata_cache, options.clock) {}
  bool worth_keeping() const { return message.size() <= kKeptBytesMax; }
  std::string message;
  WriteColumns columns;
  WriteV1Decoder v1;
  WriteV2Decoder v2;
  WriteSession session;
  WriteReport report;
};

WriteHandler::WriteHandler(Options options)
    : options_(std::move(options)),
      invalid_labels_(options_.registry->AddCounter(
          "prometheus_api_remote_write_invalid_labels_samples_total",
          "The total number of received remote write samples and histogram samples which were "
          "rejected due to invalid labels.")),
      without_metadata_(options_.registry->AddCounter(
          "prometheus_api_remote_write_without_metadata_appended_samples_total",
          "The total number of received remote write samples (and histogram samples) which were "
          "ingested without corresponding metadata.")),
      samples_(options_.registry->AddCounter("narthex_storage_remote_write_samples_total",
                                             "Samples stored from remote write.")),
      histograms_(options_.registry->AddCounter("narthex_storage_remote_write_histograms_total",
                                                "Histogram samples stored from remote write.")),
      exemplars_(options_.registry->AddCounter("narthex_storage_remote_write_exemplars_total",
                                               "Exemplars taken from remote write.")),
      work_(std::make_unique<WorkPool<Work>>([this] { return std::make_unique<Work>(options_); })) {
}

WriteHandler::~WriteHandler() = default;

http::ServerResponse WriteHandler::Write(std::string_view content_type,
                                         std::string_view content_encoding, std::string_view body) {
  const absl::StatusOr<WriteVersion> version = ParseWriteVersion(content_type);
  if (!version.ok()) return http::ServerResponse::Error(415, Message(version.status()));
  if (!Accepts(*version)) {
    return http::ServerResponse::Error(
        415, StrCat(NameOf(*version),
                    " protobuf message is not accepted by this server; see "
                    "--web.remote-write-receiver.accepted-protobuf-messages"));
  }
  if (!content_encoding.empty() && !EqualsIgnoreCaseAscii(content_encoding, "snappy")) {
    return http::ServerResponse::Error(
        415, StrCat(content_encoding,
                    " encoding (compression) is not accepted by this server; only snappy is "
                    "acceptable"));
  }
  if (const absl::Status ready = options_.db->CheckReady(); !ready.ok()) {
    return http::ServerResponse::Error(503, Message(ready));
  }
  auto work = work_->Take();
  std::string_view message;
  const absl::Status unpacked =
      SnappyUncompress(body, options_.message_bytes_max, &work->message, &message);
  if (!unpacked.ok()) {
    return http::ServerResponse::Error(absl::IsResourceExhausted(unpacked) ? 413 : 400,
                                       Message(unpacked));
  }
  return *version == WriteVersion::kV1 ? WriteV1(message, work.get())
                                       : WriteV2(message, work.get());
}

bool WriteHandler::Accepts(WriteVersion version) const {
  const std::vector<std::string>& messages = options_.messages;
  return messages.empty() ||
         std::find(messages.begin(), messages.end(), NameOf(version)) != messages.end();
}

http::ServerResponse WriteHandler::WriteV1(std::string_view message, Work* work) {
  const absl::Status decoded = work->v1.Decode(message, options_.cache->seed(), &work->columns);
  if (!decoded.ok()) return http::ServerResponse::Error(400, Message(decoded));
  WritePolicy policy;
  policy.mode = tsdb::AppendMode::kAllOrNothing;
  policy.invalid_series_are_problems = false;
  WriteReport& report = work->report;
  const absl::Status written = work->session.Write(&work->columns, &work->v1, policy, &report);
  if (!written.ok()) return StorageError(written);
  invalid_labels_->Increment(static_cast<double>(report.invalid_samples));
  samples_->Increment(static_cast<double>(report.samples));
  histograms_->Increment(static_cast<double>(report.histograms));
  exemplars_->Increment(static_cast<double>(report.exemplars));
  without_metadata_->Increment(static_cast<double>(report.samples + report.histograms));
  if (report.problems > 0) {
    NoteProblems("1.0", report.problem_texts.front());
    return http::ServerResponse::Error(400, report.problem_texts.front());
  }
  return http::ServerResponse::Text(204, "");
}

http::ServerResponse WriteHandler::WriteV2(std::string_view message, Work* work) {
  http::ServerResponse response;
  WriteReport& report = work->report;
  report.Clear();
  const absl::Status decoded = work->v2.Decode(message, options_.cache->seed(), &work->columns);
  if (!decoded.ok()) {
    response = http::ServerResponse::Error(400, Message(decoded));
  } else {
    WritePolicy policy;
    policy.late_exemplars_are_problems = true;
    const absl::Status written = work->session.Write(&work->columns, &work->v2, policy, &report);
    invalid_labels_->Increment(static_cast<double>(report.invalid_samples));
    if (!written.ok()) {
      response = StorageError(written);
      report.Clear();
    } else if (report.problems > 0) {
      NoteProblems("2.0", report.problem_texts.front());
      response = http::ServerResponse::Error(400, report.ProblemText());
    } else {
      response = http::ServerResponse::Text(204, "");
    }
  }
  samples_->Increment(static_cast<double>(report.samples));
  histograms_->Increment(static_cast<double>(report.histograms));
  exemplars_->Increment(static_cast<double>(report.exemplars));
  const auto set = [&response](std::string_view what, uint64_t count) {
    response.headers.Set(StrCat("X-Prometheus-Remote-Write-", what, "-Written"), StrCat(count));
  };
  set("Samples", report.samples);
  set("Histograms", report.histograms);
  set("Exemplars", report.exemplars);
  return response;
}

http::ServerResponse WriteHandler::StorageError(const absl::Status& status) const {
  options_.logger.Error("a remote write cannot be stored", {{"err", status}});
  // Senders come again after both.
  return http::ServerResponse::Error(absl::IsUnavailable(status) ? 503 : 500, Message(status));
}

void WriteHandler::NoteProblems(std::string_view version, const std::string& first) {
  {
    MutexLock lock(&mu_);
    const absl::Time now = options_.clock->Now();
    if (now < next_problem_log_) return;
    next_problem_log_ = now + kProblemLogInterval;
  }
  options_.logger.Warn("a remote write brings what cannot be stored",
                       {{"version", version}, {"first", first}});
}

}  // namespace narthex::storage_remote
