#include "services/storage/read_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/convert.h"
#include "services/storage/select_answer.h"
#include "services/storage/tsdb/db_reader.h"

namespace narthex::storage_service {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

absl::StatusOr<storage::Selector> FromProto(const v1::SelectSelector& proto) {
  storage::Selector selector;
  NARTHEX_ASSIGN_OR_RETURN(selector.matchers, rpc::FromProto(proto.matchers()));
  storage::SelectHints& hints = selector.hints;
  hints.start = proto.min_time_ms();
  hints.end = proto.max_time_ms();
  hints.step_ms = proto.step_ms();
  hints.range_ms = proto.range_ms();
  hints.newest_only = proto.newest_only();
  hints.labels_only = proto.labels_only();
  hints.function = proto.function();
  hints.grouping.assign(proto.grouping().begin(), proto.grouping().end());
  hints.by = proto.by();
  hints.limit = proto.limit();
  return selector;
}

absl::StatusOr<std::vector<std::vector<Matcher>>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::MatcherSet>& proto) {
  std::vector<std::vector<Matcher>> sets;
  for (const v1::MatcherSet& set : proto) {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<Matcher> matchers, rpc::FromProto(set.matchers()));
    sets.push_back(std::move(matchers));
  }
  return sets;
}

}  // namespace

bool ReadService::Answer(const v1::ReadRequest& request) {
  response_.Clear();
  const absl::Status status = Question(request);
  v1::ReadEnd* const end = response_.mutable_end();
  if (!status.ok()) {
    end->set_code(static_cast<uint32_t>(status.code()));
    end->set_message(std::string(Message(status)));
  }
  return Send().ok();
}

absl::Status ReadService::Question(const v1::ReadRequest& request) {
  absl::Time deadline = absl::InfiniteFuture();
  if (request.timeout_ms() > 0) {
    deadline = environment_.clock->Now() +
               absl::Milliseconds(std::min<uint64_t>(request.timeout_ms(), uint64_t{1} << 40));
  }
  switch (request.question_case()) {
    case v1::ReadRequest::kSelect:
      return Select(request.select(), deadline);
    case v1::ReadRequest::kLabels:
      return Labels(request.labels());
    case v1::ReadRequest::kLabelNames:
      return LabelNames(request.label_names());
    case v1::ReadRequest::kLabelValues:
      return LabelValues(request.label_values());
    case v1::ReadRequest::kChanges:
      FillHeader(request.changes().known_revision());
      return absl::OkStatus();
    case v1::ReadRequest::QUESTION_NOT_SET:
      break;
  }
  return absl::UnimplementedError("this node does not know that question");
}

absl::Status ReadService::Send() {
  const bool wanted = sink_(&response_);
  response_.Clear();
  return wanted ? absl::OkStatus() : Cancelled("the client went away");
}

absl::Status ReadService::CheckAnswers(Timestamp max_time) const {
  const tsdb::Db& db = *environment_.db;
  const absl::Status ready = db.CheckReady();
  if (ready.ok() || !db.CheckReadable().ok()) return ready;
  Timestamp covered = kMinTimestamp;
  const std::shared_ptr<const tsdb::BlockList> blocks = db.blocks();
  for (const std::shared_ptr<tsdb::Block>& block : *blocks) {
    covered = std::max(covered, block->meta().max_time);
  }
  if (covered == kMinTimestamp) return ready;
  covered -= absl::ToInt64Milliseconds(db.settings().out_of_order_window);
  return max_time < covered ? absl::OkStatus() : ready;
}

void ReadService::FillHeader(const std::string& known_revision) {
  v1::ReadHeader* const header = response_.mutable_header();
  storage::DataChanges changes;  // While the log is replayed nothing can be said.
  if (environment_.db->ready()) {
    const tsdb::Head& head = environment_.db->head();
    header->set_reference_space(head.reference_space());
    changes = head.changes().Since(known_revision);
  }
  header->mutable_changes()->set_revision(std::move(changes.revision));
  header->mutable_changes()->set_oldest_change_ms(changes.oldest_change);
  if (environment_.external_labels) {
    rpc::ToProto(environment_.external_labels(), header->mutable_external_labels());
  }
}

absl::Status ReadService::Select(const v1::SelectRequest& request, absl::Time deadline) {
  std::vector<storage::Selector> selectors;
  selectors.reserve(static_cast<size_t>(request.selectors_size()));
  Timestamp max_time = kMinTimestamp;
  for (const v1::SelectSelector& proto : request.selectors()) {
    NARTHEX_ASSIGN_OR_RETURN(storage::Selector selector, FromProto(proto));
    max_time = std::max(max_time, selector.hints.end);
    selectors.push_back(std::move(selector));
  }
  NARTHEX_RETURN_IF_ERROR(CheckAnswers(max_time));
  storage::SelectOptions options;
  options.sorted = request.sorted();
  options.series_max = request.series_max();
  options.samples_max = request.samples_max();
  options.bytes_max = request.bytes_max();
  options.deadline = deadline;
  options.cancelled = cancelled_;

  // Before the isolation state: what is read may be newer than the revision, never older.
  FillHeader(request.known_revision());
  const tsdb::DbReader reader(environment_.db);
  size_t waiting = 0;  // Bytes in response_.
  SelectAnswer answer(&reader, &options, environment_.clock,
                      [&](uint32_t selector, std::string frame) -> absl::Status {
                        waiting += frame.size();
                        if (environment_.count_bytes) environment_.count_bytes(frame.size());
                        v1::SelectFrame* const proto = response_.add_frames();
                        proto->set_selector(selector);
                        proto->set_series(std::move(frame));
                        if (waiting < SelectAnswer::kFrameBytes) return absl::OkStatus();
                        waiting = 0;
                        return Send();
                      });
  for (size_t i = 0; i < selectors.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(answer.Answer(static_cast<uint32_t>(i), selectors[i]));
  }
  return absl::OkStatus();
}

absl::Status ReadService::Labels(const v1::LabelsRequest& request) {
  NARTHEX_RETURN_IF_ERROR(environment_.db->CheckReady());
  const tsdb::Head& head = environment_.db->head();
  if (request.reference_space() != head.reference_space()) {
    return FailedPrecondition("the ids are of another reference space");
  }
  constexpr size_t kSeriesPerLock = 512;
  std::string* out = response_.mutable_labels();
  std::vector<tsdb::Slot> slots;
  // Keeps slots what they are while they are looked at, but not while the client is waited for.
  std::optional<tsdb::Isolation::Hold> hold;
  uint64_t id = 0;
  const int count = request.id_deltas_size();
  for (int i = 0; i < count; ++i) {
    id += static_cast<uint64_t>(request.id_deltas(i));
    if (!hold) hold.emplace(&head.isolation());
    slots.push_back(head.table().FindReference(id));
    if (slots.size() < kSeriesPerLock && i + 1 < count) continue;
    head.index().VisitLabels(slots, [&](size_t, std::span<const LabelView> labels) {
      AppendUvarint(out, labels.size());
      for (const LabelView& label : labels) {
        AppendLengthPrefixed(out, label.name);
        AppendLengthPrefixed(out, label.value);
      }
    });
    slots.clear();
    hold.reset();
    if (out->size() < kPieceBytes || i + 1 == count) continue;
    if (cancelled_()) return Cancelled("the client went away");
    NARTHEX_RETURN_IF_ERROR(Send());
    out = response_.mutable_labels();
  }
  return absl::OkStatus();
}

absl::Status ReadService::SendStrings(std::vector<std::string> strings) {
  size_t waiting = 0;
  for (std::string& text : strings) {
    waiting += text.size();
    response_.add_strings(std::move(text));
    if (waiting < kPieceBytes) continue;
    waiting = 0;
    NARTHEX_RETURN_IF_ERROR(Send());
  }
  return absl::OkStatus();
}

absl::Status ReadService::LabelNames(const v1::LabelNamesRequest& request) {
  NARTHEX_RETURN_IF_ERROR(CheckAnswers(request.max_time_ms()));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::vector<Matcher>> sets,
                           FromProto(request.matcher_sets()));
  NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> names,
                           tsdb::DbReader(environment_.db)
                               .LabelNames(sets, request.min_time_ms(), request.max_time_ms()));
  return SendStrings(std::move(names));
}

absl::Status ReadService::LabelValues(const v1::LabelValuesRequest& request) {
  NARTHEX_RETURN_IF_ERROR(CheckAnswers(request.max_time_ms()));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::vector<Matcher>> sets,
                           FromProto(request.matcher_sets()));
  NARTHEX_ASSIGN_OR_RETURN(
      std::vector<std::string> values,
      tsdb::DbReader(environment_.db)
          .LabelValues(request.name(), sets, request.min_time_ms(), request.max_time_ms()));
  return SendStrings(std::move(values));
}

}  // namespace narthex::storage_service
