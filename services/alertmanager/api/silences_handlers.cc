#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "lib/relabel/name_validation.h"
#include "services/alertmanager/api/answers.h"
#include "services/alertmanager/api/api.h"

namespace narthex::alertmanager_api {
namespace {

using http::ServerRequest;
using http::ServerResponse;
using silence::Silence;
using silence::SilencePtr;
using silence::State;

void WriteText(json::Writer* writer, std::string_view key, std::string_view value) {
  writer->Key(key);
  writer->String(value);
}

void WriteBool(json::Writer* writer, std::string_view key, bool value) {
  writer->Key(key);
  writer->Bool(value);
}

void WriteSilence(json::Writer* writer, const Silence& silence, absl::Time now) {
  writer->BeginObject();
  WriteText(writer, "id", silence.id);
  writer->Key("status");
  writer->BeginObject();
  WriteText(writer, "state", silence::StateText(silence.StateAt(now)));
  writer->EndObject();
  WriteText(writer, "updatedAt", TimeText(silence.updated_at));
  if (!silence.annotations.empty()) {
    writer->Key("annotations");
    writer->BeginObject();
    for (const auto& [name, value] : silence.annotations) WriteText(writer, name, value);
    writer->EndObject();
  }
  WriteText(writer, "comment", silence.comment);
  WriteText(writer, "createdBy", silence.created_by);
  WriteText(writer, "endsAt", TimeText(silence.ends_at));
  writer->Key("matchers");
  writer->BeginArray();
  for (const Matcher& matcher : silence.matchers) {
    const MatchType type = matcher.type();
    writer->BeginObject();
    WriteBool(writer, "isEqual", type == MatchType::kEqual || type == MatchType::kRegex);
    WriteBool(writer, "isRegex", type == MatchType::kRegex || type == MatchType::kNotRegex);
    WriteText(writer, "name", matcher.name());
    WriteText(writer, "value", matcher.value());
    writer->EndObject();
  }
  writer->EndArray();
  WriteText(writer, "startsAt", TimeText(silence.starts_at));
  writer->EndObject();
}

// Active ones by soonest end, then pending ones by soonest start, then expired ones by latest end.
void SortSilences(std::vector<SilencePtr>* silences, absl::Time now) {
  const auto rank = [now](const SilencePtr& silence) {
    switch (silence->StateAt(now)) {
      case State::kActive:
        return 0;
      case State::kPending:
        return 1;
      case State::kExpired:
        return 2;
    }
    return 3;
  };
  std::stable_sort(silences->begin(), silences->end(),
                   [&](const SilencePtr& a, const SilencePtr& b) {
                     const int rank_a = rank(a);
                     const int rank_b = rank(b);
                     if (rank_a != rank_b) return rank_a < rank_b;
                     if (rank_a == 0) return a->ends_at < b->ends_at;
                     if (rank_a == 1) return a->starts_at < b->starts_at;
                     return a->ends_at > b->ends_at;
                   });
}

// A silence passes when its matchers, read as labels, do.
bool Passes(const std::vector<Matcher>& filters, const Silence& silence) {
  return std::all_of(filters.begin(), filters.end(), [&silence](const Matcher& filter) {
    std::string_view value;
    for (const Matcher& matcher : silence.matchers) {
      if (matcher.name() == filter.name()) value = matcher.value();
    }
    return filter.Matches(value);
  });
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool hexadecimal =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hexadecimal) return false;
  }
  return true;
}

ServerResponse NotUuid(std::string_view id) {
  return FrameworkError(601, StrCat("silenceID in path must be of type uuid: ", Quote(id)));
}

// The field of an object that must be there; the error when it is not.
const json::Value* Required(const json::Value& object, std::string_view key, std::string_view path,
                            std::optional<ServerResponse>* error) {
  const json::Value* value = object.Find(key);
  if (value != nullptr && !value->is_null()) return value;
  if (!error->has_value()) {
    *error = FrameworkError(602, StrCat(path, key, " in body is required"));
  }
  return nullptr;
}

// The matchers of a posted silence.
std::optional<ServerResponse> ReadMatchers(const json::Value& list, Silence* out) {
  if (!list.is_array()) return BodyError("silence", "json: cannot unmarshal matchers");
  if (list.array.empty()) {
    return FrameworkError(612, "matchers in body should have at least 1 items");
  }
  std::optional<ServerResponse> error;
  for (size_t i = 0; i < list.array.size(); ++i) {
    const json::Value& object = list.array[i];
    const std::string path = StrCat("matchers.", i, ".");
    const json::Value* is_regex = Required(object, "isRegex", path, &error);
    const json::Value* name = Required(object, "name", path, &error);
    const json::Value* value = Required(object, "value", path, &error);
    if (error.has_value()) return error;
    const json::Value* is_equal = object.Find("isEqual");
    const bool equal = is_equal == nullptr || is_equal->is_null() || is_equal->boolean;
    if (!is_regex->is_bool() || !name->is_string() || !value->is_string()) {
      return BodyError("silence", "json: cannot unmarshal a matcher");
    }
    const MatchType type = is_regex->boolean ? (equal ? MatchType::kRegex : MatchType::kNotRegex)
                                             : (equal ? MatchType::kEqual : MatchType::kNotEqual);
    const auto invalid = [i](std::string_view what) {
      return TextError(400, StrCat("invalid silence: invalid label matcher ", i, ": ", what));
    };
    if (!IsValidLabelName(name->text, NameValidationScheme::kUtf8)) {
      return invalid(StrCat("invalid label name ", Quote(name->text)));
    }
    absl::StatusOr<Matcher> matcher = Matcher::Create(type, name->text, value->text);
    if (!matcher.ok()) {
      return invalid(StrCat("invalid regular expression ", Quote(value->text), ": ",
                            Message(matcher.status())));
    }
    out->matchers.push_back(*std::move(matcher));
  }
  return std::nullopt;
}

std::optional<ServerResponse> ReadSilence(const json::Value& body, Silence* out) {
  if (!body.is_object()) return BodyError("silence", "json: cannot unmarshal into an object");
  std::optional<ServerResponse> error;
  const json::Value* comment = Required(body, "comment", "", &error);
  const json::Value* created_by = Required(body, "createdBy", "", &error);
  const json::Value* ends_at = Required(body, "endsAt", "", &error);
  const json::Value* matchers = Required(body, "matchers", "", &error);
  const json::Value* starts_at = Required(body, "startsAt", "", &error);
  if (error.has_value()) return error;
  for (const auto& [value, time] :
       {std::pair(starts_at, &out->starts_at), std::pair(ends_at, &out->ends_at)}) {
    const absl::StatusOr<absl::Time> parsed =
        value->is_string() ? ParseTime(value->text) : InvalidArgument("not a date-time");
    if (!parsed.ok()) return BodyError("silence", Message(parsed.status()));
    *time = *parsed;
  }
  if (const json::Value* id = body.Find("id")) out->id = id->text;
  out->comment = comment->text;
  out->created_by = created_by->text;
  if (const json::Value* annotations = body.Find("annotations")) {
    for (const auto& [name, value] : annotations->object)
      out->annotations.emplace_back(name, value.text);
    std::sort(out->annotations.begin(), out->annotations.end());
  }
  return ReadMatchers(*matchers, out);
}

}  // namespace

http::ServerResponse Api::GetSilences(const ServerRequest& request) const {
  const absl::StatusOr<std::vector<Matcher>> filters = ParseFilters(request);
  if (!filters.ok()) return TextError(400, Message(filters.status()));
  const absl::Time now = options_.clock->Now();
  const bool wanted[] = {BoolParam(request, "pending", true), BoolParam(request, "active", true),
                         BoolParam(request, "expired", true)};
  std::vector<SilencePtr> silences = options_.silences->All();
  std::erase_if(silences, [&](const SilencePtr& silence) {
    return !wanted[static_cast<size_t>(silence->StateAt(now))] || !Passes(*filters, *silence);
  });
  SortSilences(&silences, now);
  std::string out;
  json::Writer writer(&out);
  writer.BeginArray();
  for (const SilencePtr& silence : silences) WriteSilence(&writer, *silence, now);
  writer.EndArray();
  return JsonAnswer(std::move(out));
}

http::ServerResponse Api::PostSilence(const ServerRequest& request) const {
  json::Value body;
  if (std::optional<ServerResponse> error = ParseBody(request, "silence", &body)) return *error;
  Silence silence;
  if (std::optional<ServerResponse> error = ReadSilence(body, &silence)) return *error;
  if (silence.starts_at >= silence.ends_at) {
    return TextError(400, "Failed to create silence: start time must be before end time");
  }
  if (silence.ends_at < options_.clock->Now()) {
    return TextError(400, "Failed to create silence: end time can't be in the past");
  }
  const absl::StatusOr<std::string> id = options_.silences->Set(std::move(silence));
  if (!id.ok()) {
    const bool our_fault = absl::IsInternal(id.status());
    return TextError(absl::IsNotFound(id.status()) ? 404
                     : our_fault                   ? 500
                                                   : 400,
                     Message(id.status()));
  }
  std::string out;
  json::Writer writer(&out);
  writer.BeginObject();
  WriteText(&writer, "silenceID", *id);
  writer.EndObject();
  return JsonAnswer(std::move(out));
}

http::ServerResponse Api::GetSilence(const ServerRequest& request) const {
  const std::string id(request.PathParam("id"));
  if (!IsUuid(id)) return NotUuid(id);
  const SilencePtr silence = options_.silences->Get(id);
  if (silence == nullptr) {
    ServerResponse missing;
    missing.status = 404;
    return missing;
  }
  std::string out;
  json::Writer writer(&out);
  WriteSilence(&writer, *silence, options_.clock->Now());
  return JsonAnswer(std::move(out));
}

http::ServerResponse Api::DeleteSilence(const ServerRequest& request) const {
  const std::string id(request.PathParam("id"));
  if (!IsUuid(id)) return NotUuid(id);
  const absl::Status status = options_.silences->Expire(id);
  if (status.ok()) return ServerResponse();
  if (!absl::IsNotFound(status)) return TextError(500, Message(status));
  ServerResponse missing;
  missing.status = 404;
  return missing;
}

}  // namespace narthex::alertmanager_api
