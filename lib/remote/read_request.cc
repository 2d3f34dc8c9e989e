// prometheus.ReadRequest: 1 queries, 2 accepted_response_types (0 samples, 1 streamed XOR chunks).
//   Query 1 start_timestamp_ms, 2 end_timestamp_ms, 3 matchers{1 type, 2 name, 3 value},
//         4 hints{1 step_ms, 2 func, 3 start_ms, 4 end_ms, 5 grouping, 6 by, 7 range_ms}
#include "lib/remote/read_request.h"

#include <string>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/remote/proto_reader.h"

namespace narthex::remote {
namespace {

absl::Status Malformed() { return InvalidArgument("the message is malformed"); }

absl::Status ReadMatcher(std::string_view message, std::vector<Matcher>* matchers) {
  uint64_t type = 0;
  std::string_view name;
  std::string_view value;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) {
      type = reader.number();
    } else if (reader.Is(2, WireType::kBytes)) {
      name = reader.bytes();
    } else if (reader.Is(3, WireType::kBytes)) {
      value = reader.bytes();
    }
  }
  if (reader.failed()) return Malformed();
  constexpr MatchType kTypes[] = {MatchType::kEqual, MatchType::kNotEqual, MatchType::kRegex,
                                  MatchType::kNotRegex};
  if (type >= std::size(kTypes)) return InvalidArgument("matcher type ", type, " is not known");
  NARTHEX_ASSIGN_OR_RETURN(Matcher matcher, Matcher::Create(kTypes[type], name, value));
  matchers->push_back(std::move(matcher));
  return absl::OkStatus();
}

absl::Status ReadHints(std::string_view message, storage::SelectHints* hints) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) {
      hints->step_ms = reader.int64();
    } else if (reader.Is(2, WireType::kBytes)) {
      hints->function = reader.bytes();
    } else if (reader.Is(5, WireType::kBytes)) {
      hints->grouping.emplace_back(reader.bytes());
    } else if (reader.Is(6, WireType::kVarint)) {
      hints->by = reader.boolean();
    } else if (reader.Is(7, WireType::kVarint)) {
      hints->range_ms = reader.int64();
    }
  }
  return reader.failed() ? Malformed() : absl::OkStatus();
}

absl::Status ReadQuery(std::string_view message, storage::Selector* query) {
  ProtoReader reader(message);
  while (reader.Next()) {
    // The hints' own times are those of the expression; the query's are what it reads.
    if (reader.Is(1, WireType::kVarint)) {
      query->hints.start = reader.int64();
    } else if (reader.Is(2, WireType::kVarint)) {
      query->hints.end = reader.int64();
    } else if (reader.Is(3, WireType::kBytes)) {
      const absl::Status status = ReadMatcher(reader.bytes(), &query->matchers);
      if (!status.ok()) {
        return Annotate(status, StrCat("matchers[", query->matchers.size(), "]"));
      }
    } else if (reader.Is(4, WireType::kBytes)) {
      NARTHEX_RETURN_IF_ERROR(Annotate(ReadHints(reader.bytes(), &query->hints), "hints"));
    }
  }
  return reader.failed() ? Malformed() : absl::OkStatus();
}

// What kind of answer a number of accepted_response_types stands for.
bool AnswerType(uint64_t number, ReadAnswerType* type) {
  if (number > 1) return false;
  *type = number == 0 ? ReadAnswerType::kSamples : ReadAnswerType::kStreamedXorChunks;
  return true;
}

}  // namespace

absl::Status DecodeReadRequest(std::string_view message, ReadRequest* request) {
  *request = {};
  bool any_type = false;
  bool known_type = false;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) {
      const absl::Status status = ReadQuery(reader.bytes(), &request->queries.emplace_back());
      if (!status.ok()) {
        return Annotate(status, StrCat("queries[", request->queries.size() - 1, "]"));
      }
    } else if (reader.field() == 2) {
      const bool good = VisitVarints(reader, [&](uint64_t number) {
        any_type = true;
        if (!known_type) known_type = AnswerType(number, &request->type);
      });
      if (!good) return Annotate(Malformed(), "accepted_response_types");
    }
  }
  if (reader.failed()) return Malformed();
  if (any_type && !known_type) {
    return InvalidArgument("server does not support any of the requested response types");
  }
  return absl::OkStatus();
}

void RemoveExternalLabels(const Labels& external_labels, std::vector<Matcher>* matchers) {
  for (Matcher& matcher : *matchers) {
    const bool is_external = matcher.type() == MatchType::kEqual && !matcher.value().empty() &&
                             external_labels.Get(matcher.name()) == matcher.value();
    if (is_external) matcher = Matcher::Equal(matcher.name(), "");
  }
}

}  // namespace narthex::remote
