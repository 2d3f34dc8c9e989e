#include "services/query/api/envelope.h"

#include <utility>

#include "lib/base/strings.h"
#include "lib/json/writer.h"

namespace narthex::query_api {
namespace {

constexpr size_t kNotesMax = 10;

void AppendNotes(std::string_view key, std::string_view kind, const std::vector<std::string>& notes,
                 std::string* body) {
  if (notes.empty()) return;
  StrAppend(body, ",\"", key, "\":[");
  for (size_t i = 0; i < notes.size() && i < kNotesMax; ++i) {
    if (i > 0) body->push_back(',');
    json::AppendQuoted(body, notes[i]);
  }
  if (notes.size() > kNotesMax) {
    body->push_back(',');
    json::AppendQuoted(body,
                       StrCat(notes.size() - kNotesMax, " more ", kind, " annotations omitted"));
  }
  body->push_back(']');
}

constexpr size_t kStreamPieceBytes = 64 << 10;

// What follows the data.
void AppendTail(const Answer& answer, std::string* body) {
  if (answer.failed) {
    StrAppend(body, ",\"errorType\":\"", ErrorTypeName(answer.error_type), "\",\"error\":");
    json::AppendQuoted(body, answer.error);
  }
  AppendNotes("warnings", "warning", answer.warnings, body);
  AppendNotes("infos", "info", answer.infos, body);
  body->push_back('}');
}

http::ServerResponse ToStream(Answer answer) {
  http::ServerResponse response;
  response.content_type = "application/json";
  response.stream = [answer = std::move(answer)](const http::BodySink& sink) {
    std::string text = "{\"status\":\"success\",\"data\":";
    const auto drain = [&text, &sink] {
      if (text.size() < kStreamPieceBytes) return true;
      const bool good = sink(text);
      text.clear();
      return good;
    };
    if (!answer.write_data(&text, drain)) return false;
    AppendTail(answer, &text);
    return sink(text);
  };
  return response;
}

}  // namespace

Answer Answer::Data(std::string json) {
  Answer answer;
  answer.data = std::move(json);
  return answer;
}

Answer Answer::Error(ErrorType type, std::string_view message) {
  Answer answer;
  answer.failed = true;
  answer.error_type = type;
  answer.error = std::string(message);
  return answer;
}

Answer Answer::Error(const absl::Status& status) {
  return Error(ErrorTypeOf(status), Message(status));
}

Answer Answer::BadParameter(std::string_view name, std::string_view reason) {
  return Error(ErrorType::kBadData, InvalidParameter(name, reason));
}

Answer Answer::BadParameter(std::string_view name, const absl::Status& status) {
  return BadParameter(name, Message(status));
}

http::ServerResponse ToResponse(Answer answer) {
  if (!answer.failed && answer.write_data != nullptr) return ToStream(std::move(answer));
  http::ServerResponse response;
  if (!answer.failed && answer.data.empty()) {
    response.status = 204;
    return response;
  }
  std::string body;
  body.reserve(answer.data.size() + 128);
  body.append(answer.failed ? "{\"status\":\"error\"" : "{\"status\":\"success\"");
  if (!answer.data.empty()) StrAppend(&body, ",\"data\":", answer.data);
  AppendTail(answer, &body);
  response.status = answer.failed ? HttpStatus(answer.error_type) : 200;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

void AddCorsHeaders(const Regex& allowed_origin, const http::ServerRequest& request,
                    http::ServerResponse* response) {
  response->headers.Add("Vary", "Origin");
  const std::string_view origin = request.headers.Get("Origin");
  if (origin.empty()) return;
  response->headers.Set("Access-Control-Allow-Headers",
                        "Accept, Authorization, Content-Type, Origin");
  response->headers.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  response->headers.Set("Access-Control-Expose-Headers", "Date");
  if (allowed_origin.pattern() == ".*") {
    response->headers.Set("Access-Control-Allow-Origin", "*");
  } else if (allowed_origin.Matches(origin)) {
    response->headers.Set("Access-Control-Allow-Origin", origin);
  }
}

}  // namespace narthex::query_api
