#include "services/storage/inspection_service.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/convert.h"
#include "narthex/v1/storage.pb.h"

namespace narthex::storage_service {
namespace {

// Answers are sent in pieces of about this.
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr uint32_t kStatisticsMax = 10'000;
constexpr uint32_t kStatisticsDefault = 10;

absl::Status Gone() { return Cancelled("the client went away"); }

absl::StatusOr<std::vector<std::vector<Matcher>>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::MatcherSet>& proto) {
  std::vector<std::vector<Matcher>> sets;
  for (const v1::MatcherSet& set : proto) {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<Matcher> matchers, rpc::FromProto(set.matchers()));
    if (matchers.empty()) return InvalidArgument("a matcher set without a matcher");
    sets.push_back(std::move(matchers));
  }
  return sets;
}

void ToProto(const std::vector<tsdb::NamedCount>& counts,
             google::protobuf::RepeatedPtrField<v1::NamedCount>* proto) {
  for (const tsdb::NamedCount& count : counts) {
    v1::NamedCount* const out = proto->Add();
    out->set_name(count.name);
    out->set_count(count.count);
  }
}

// Series of these types have more than one name for one family.
constexpr std::string_view kFamilySuffixes[] = {"_bucket", "_count", "_sum", "_gcount", "_gsum"};

bool HasSuffixes(MetricType type) {
  return type == MetricType::kHistogram || type == MetricType::kGaugeHistogram ||
         type == MetricType::kSummary;
}

std::string_view FamilyOf(std::string_view metric, MetricType type) {
  if (!HasSuffixes(type)) return metric;
  for (const std::string_view suffix : kFamilySuffixes) {
    if (metric.size() > suffix.size() && metric.substr(metric.size() - suffix.size()) == suffix) {
      return metric.substr(0, metric.size() - suffix.size());
    }
  }
  return metric;
}

// JSON without the white space between its tokens.
std::string Compacted(std::string_view json) {
  std::string compact;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\' && i + 1 < json.size()) {
      compact.append(json.substr(i++, 2));
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (c != ' ' && c != '\t' && c != '\n' && c != '\r')) compact.push_back(c);
  }
  return compact;
}

struct MetadataLess {
  bool operator()(const narthex::Metadata& a, const narthex::Metadata& b) const {
    return std::tie(a.type, a.help, a.unit) < std::tie(b.type, b.help, b.unit);
  }
};
using Families = std::map<std::string, std::set<narthex::Metadata, MetadataLess>>;

}  // namespace

Inspection::Inspection(Options options) : options_(std::move(options)), db_(options_.db) {}

absl::Status Inspection::Exemplars(
    const v1::ExemplarsRequest& request, const std::function<bool()>& cancelled,
    const std::function<bool(const v1::ExemplarsResponse&)>& send) const {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::vector<Matcher>> sets,
                           FromProto(request.matcher_sets()));
  const tsdb::Head& head = db_->head();
  const tsdb::HeadReader reader(&head);
  std::vector<tsdb::Slot> slots;
  for (const std::vector<Matcher>& matchers : sets) {
    if (cancelled()) return Gone();
    for (const tsdb::Slot slot : reader.Find(matchers)) {
      if (head.exemplars().Has(slot)) slots.push_back(slot);
    }
  }
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  reader.SortByLabels(&slots);

  v1::ExemplarsResponse response;
  size_t bytes = 0;
  for (const tsdb::Slot slot : slots) {
    const std::vector<Exemplar> exemplars =
        head.exemplars().Select(slot, request.min_time_ms(), request.max_time_ms());
    if (exemplars.empty()) continue;
    v1::SeriesExemplars* const series = response.add_series();
    rpc::ToProto(reader.LabelsOf(slot), series->mutable_labels());
    for (const Exemplar& exemplar : exemplars) {
      v1::Exemplar* const out = series->add_exemplars();
      rpc::ToProto(exemplar.labels, out->mutable_labels());
      out->set_timestamp_ms(exemplar.timestamp);
      out->set_value(exemplar.value);
    }
    bytes += series->ByteSizeLong();
    if (bytes < kPieceBytes) continue;
    if (cancelled() || !send(response)) return Gone();
    response.Clear();
    bytes = 0;
  }
  if (response.series_size() > 0 && !send(response)) return Gone();
  return absl::OkStatus();
}

absl::Status Inspection::Metadata(
    const v1::MetadataRequest& request, const std::function<bool()>& cancelled,
    const std::function<bool(const v1::MetadataResponse&)>& send) const {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  if (request.per_target()) return InvalidArgument("a storage node knows no targets");
  const tsdb::Head& head = db_->head();
  const tsdb::HeadReader reader(&head);
  std::vector<std::string> metrics;
  if (request.metric().empty()) {
    metrics = head.index().Values(kMetricName, [](tsdb::Slot) { return true; });
  } else {
    metrics.push_back(request.metric());
    for (const std::string_view suffix : kFamilySuffixes) {
      metrics.push_back(StrCat(request.metric(), suffix));
    }
  }
  Families families;
  for (const std::string& metric : metrics) {
    if (cancelled()) return Gone();
    const Matcher matcher = Matcher::Equal(kMetricName, metric);
    for (const auto& [metadata, series] :
         head.metadata().Distinct(reader.Find(std::span(&matcher, 1)))) {
      const std::string_view family = FamilyOf(metric, metadata.type);
      if (!request.metric().empty() && family != request.metric()) continue;
      families[std::string(family)].insert(metadata);
    }
  }

  v1::MetadataResponse response;
  size_t bytes = 0;
  uint64_t sent = 0;
  for (const auto& [family, entries] : families) {
    if (request.limit() > 0 && sent++ == request.limit()) break;
    for (const narthex::Metadata& metadata : entries) {
      v1::MetricMetadata* const out = response.add_metadata();
      out->set_metric(family);
      out->set_type(std::string(MetricTypeName(metadata.type)));
      out->set_help(metadata.help);
      out->set_unit(metadata.unit);
      bytes += out->ByteSizeLong();
    }
    if (bytes < kPieceBytes) continue;
    if (cancelled() || !send(response)) return Gone();
    response.Clear();
    bytes = 0;
  }
  if (response.metadata_size() > 0 && !send(response)) return Gone();
  return absl::OkStatus();
}

absl::Status Inspection::Statistics(const v1::StatisticsRequest& request,
                                    v1::StatisticsResponse* response) {
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  if (request.limit() > kStatisticsMax) {
    return InvalidArgument("limit must not exceed ", kStatisticsMax);
  }
  const uint32_t limit = request.limit() == 0 ? kStatisticsDefault : request.limit();
  NoteGrowth();
  const absl::Duration now = options_.clock->Monotonic();
  const GrowthMarks::Mark mark = growth_.Oldest(now);
  const tsdb::Head& head = db_->head();
  const tsdb::IndexStatistics statistics = head.index().Statistics(limit, mark.reference);
  response->set_series(head.table().size());
  response->set_label_pairs(statistics.label_pairs);
  response->set_chunks(head.table().chunks());
  response->set_min_time_ms(head.min_time());
  response->set_max_time_ms(head.max_time());
  ToProto(statistics.series_by_metric_name, response->mutable_series_by_metric_name());
  ToProto(statistics.values_by_label_name, response->mutable_values_by_label_name());
  ToProto(statistics.bytes_by_label_name, response->mutable_bytes_by_label_name());
  ToProto(statistics.series_by_label_pair, response->mutable_series_by_label_pair());
  ToProto(statistics.growth_by_metric_name, response->mutable_growth_by_metric_name());
  response->set_growth_window_ms(absl::ToInt64Milliseconds(now - mark.at));
  return absl::OkStatus();
}

absl::Status Inspection::Status(v1::StatusResponse* response) const {
  const tsdb::DbState state = db_->state();
  switch (state.kind) {
    case tsdb::DbStateKind::kReplaying:
      response->set_state(v1::StatusResponse::STARTING);
      break;
    case tsdb::DbStateKind::kReady:
      response->set_state(v1::StatusResponse::READY);
      break;
    case tsdb::DbStateKind::kReadOnly:
      response->set_state(v1::StatusResponse::READ_ONLY);
      break;
    case tsdb::DbStateKind::kBroken:
      response->set_state(v1::StatusResponse::FAILED);
      break;
  }
  response->set_reason(state.reason);
  const tsdb::ReplayProgress& progress = db_->replay_progress();
  v1::ReplayStatus* const replay = response->mutable_replay();
  replay->set_segment_first(progress.segment_min.load());
  replay->set_segment_last(progress.segment_max.load());
  replay->set_segment_current(db_->ready() ? progress.segment_max.load()
                                           : progress.segment_current.load());
  const std::shared_ptr<const tsdb::BlockList> blocks = db_->blocks();
  for (const std::shared_ptr<tsdb::Block>& block : *blocks) {
    response->add_blocks(Compacted(tsdb::FormatBlockMeta(block->meta())));
  }
  if (options_.retention_text) response->set_retention(options_.retention_text());
  response->set_corruptions(db_->ready() && db_->replay_result().damaged ? 1 : 0);
  return absl::OkStatus();
}

absl::Status Inspection::Admin(const v1::AdminRequest& request,
                               const std::function<bool()>& cancelled,
                               v1::AdminResponse* response) {
  if (!options_.enable_admin) {
    return FailedPrecondition("admin APIs disabled: start it with --web.enable-admin-api");
  }
  NARTHEX_RETURN_IF_ERROR(db_->CheckReady());
  const tsdb::Pace pace = [&cancelled] { return cancelled() ? Gone() : absl::OkStatus(); };
  const absl::Status status = AdminChecked(request, pace, response);
  const std::string text = request.ShortDebugString();
  if (status.ok()) {
    options_.logger.Info("admin request done", {{"request", text}});
  } else {
    options_.logger.Warn("admin request failed", {{"request", text}, {"err", status}});
  }
  return status;
}

absl::Status Inspection::AdminChecked(const v1::AdminRequest& request, const tsdb::Pace& pace,
                                      v1::AdminResponse* response) {
  switch (request.kind_case()) {
    case v1::AdminRequest::kDeleteSeries: {
      const v1::DeleteSeries& proto = request.delete_series();
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::vector<Matcher>> sets,
                               FromProto(proto.matcher_sets()));
      if (sets.empty()) return InvalidArgument("no matcher set");
      for (const std::vector<Matcher>& matchers : sets) {
        NARTHEX_RETURN_IF_ERROR(db_->Delete(matchers, proto.min_time_ms(), proto.max_time_ms()));
      }
      return absl::OkStatus();
    }
    case v1::AdminRequest::kCleanTombstones:
      return db_->CleanTombstones(pace);
    case v1::AdminRequest::kSnapshot: {
      NARTHEX_ASSIGN_OR_RETURN(*response->mutable_snapshot(),
                               db_->Snapshot("", !request.snapshot().skip_head(), pace));
      return absl::OkStatus();
    }
    case v1::AdminRequest::kCompact:
      return db_->Compact(pace);
    case v1::AdminRequest::KIND_NOT_SET:
      break;
  }
  return InvalidArgument("an admin request without a kind");
}

void Inspection::NoteGrowth() {
  const absl::Duration now = options_.clock->Monotonic();
  if (db_->ready() && growth_.Due(now)) growth_.Add(now, db_->head().reference_max());
}

}  // namespace narthex::storage_service
