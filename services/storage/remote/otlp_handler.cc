// ExportMetricsServiceResponse: 1 partial_success{1 rejected_data_points, 2 error_message}
// google.rpc.Status: 1 code, 2 message
#include "services/storage/remote/otlp_handler.h"

#include <string>
#include <utility>

#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "lib/remote/proto_writer.h"

namespace narthex::storage_remote {
namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::string_view kJson = "application/json";

http::ServerResponse Answer(int status, bool json, std::string body) {
  http::ServerResponse response = http::ServerResponse::Text(status, body);
  response.content_type = json ? kJson : kProtobuf;
  return response;
}

// gRPC's number and the text, which is how OTLP tells errors.
http::ServerResponse ErrorAnswer(int http_status, const absl::Status& status, bool json) {
  std::string body;
  if (json) {
    json::Writer writer(&body);
    writer.BeginObject();
    writer.Key("code");
    writer.Int(status.raw_code());
    writer.Key("message");
    writer.String(Message(status));
    writer.EndObject();
  } else {
    remote::ProtoWriter writer(&body);
    writer.Uint64(1, static_cast<uint64_t>(status.raw_code()));
    writer.Bytes(2, Message(status));
  }
  return Answer(http_status, json, std::move(body));
}

http::ServerResponse SuccessAnswer(const otlp::TranslationReport& report, bool json) {
  const bool partial = report.rejected_points > 0 || !report.reasons.empty();
  const std::string reasons = Join(report.reasons, "; ");
  std::string body;
  if (json) {
    json::Writer writer(&body);
    writer.BeginObject();
    if (partial) {
      writer.Key("partialSuccess");
      writer.BeginObject();
      // 64-bit numbers are text in Protocol Buffers' JSON.
      writer.Key("rejectedDataPoints");
      writer.String(StrCat(report.rejected_points));
      writer.Key("errorMessage");
      writer.String(reasons);
      writer.EndObject();
    }
    writer.EndObject();
  } else if (partial) {
    remote::ProtoWriter writer(&body);
    const remote::ProtoWriter::Mark mark = writer.Begin(1);
    writer.Uint64(1, report.rejected_points);
    writer.Bytes(2, reasons);
    writer.End(mark);
  }
  return Answer(200, json, std::move(body));
}

}  // namespace

OtlpHandler::OtlpHandler(Options options)
    : options_(std::move(options)),
      samples_(options_.registry->AddCounter("narthex_storage_otlp_samples_total",
                                             "Samples and histograms stored from OTLP.")),
      rejected_(options_.registry->AddCounter(
          "narthex_storage_otlp_rejected_points_total",
          "Data points of OTLP that have no place in Prometheus: a temporality, a name, a scale.")),
      work_([this] { return std::make_unique<Work>(options_); }) {}

http::ServerResponse OtlpHandler::Write(std::string_view content_type,
                                        std::string_view content_encoding, std::string_view body) {
  const std::string_view media = TrimSpace(content_type.substr(0, content_type.find(';')));
  const bool json = EqualsIgnoreCaseAscii(media, kJson);
  if (!json && !EqualsIgnoreCaseAscii(media, kProtobuf)) {
    return http::ServerResponse::Error(415, StrCat("unsupported content type: ", content_type,
                                                   ", supported: [", kJson, ", ", kProtobuf, "]"));
  }
  if (!content_encoding.empty() && !EqualsIgnoreCaseAscii(content_encoding, "identity")) {
    return http::ServerResponse::Error(
        415, StrCat("unsupported compression: ", content_encoding,
                    ". Only \"gzip\", \"deflate\", \"zstd\" or no compression supported"));
  }
  if (const absl::Status ready = options_.db->CheckReady(); !ready.ok()) {
    return ErrorAnswer(503, ready, json);
  }
  auto work = work_.Take();
  const absl::Status decoded =
      json ? otlp::DecodeJson(body, &work->request) : otlp::DecodeProtobuf(body, &work->request);
  if (!decoded.ok()) return ErrorAnswer(400, decoded, json);
  return Store(json, work.get());
}

http::ServerResponse OtlpHandler::Store(bool json, Work* work) {
  const std::shared_ptr<const otlp::Settings> settings = options_.settings();
  otlp::TranslationReport translation;
  if (settings->delta == otlp::Settings::Delta::kToCumulative) {
    const otlp::DeltaState::Result converted = deltas_.ToCumulative(&work->request);
    if (converted.dropped_points > 0) {
      translation.Reject(converted.dropped_points, converted.reason);
    }
  }
  work->translator.Translate(work->request, *settings, options_.cache->seed(), &work->columns,
                             &translation);
  rejected_->Increment(static_cast<double>(translation.rejected_points));
  const absl::Status written =
      work->session.Write(&work->columns, &work->translator, {}, &work->report);
  if (!written.ok()) {
    options_.logger.Error("an OTLP request cannot be stored", {{"err", written}});
    return ErrorAnswer(503, written, json);
  }
  samples_->Increment(static_cast<double>(work->report.samples + work->report.histograms));
  if (work->report.problems > 0) {
    return ErrorAnswer(400, InvalidArgument(work->report.ProblemText()), json);
  }
  return SuccessAnswer(translation, json);
}

}  // namespace narthex::storage_remote
