#include "lib/rpc/storage_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/response_stream.h"
#include "lib/rpc/unary_call.h"
#include "narthex/v1/storage.grpc.pb.h"

namespace narthex::rpc {
namespace {

void ToProto(std::span<const std::vector<Matcher>> sets,
             google::protobuf::RepeatedPtrField<v1::MatcherSet>* proto) {
  for (const std::vector<Matcher>& set : sets) {
    rpc::ToProto(std::span<const Matcher>(set), proto->Add()->mutable_matchers());
  }
}

std::vector<NamedCount> FromProto(const google::protobuf::RepeatedPtrField<v1::NamedCount>& proto) {
  std::vector<NamedCount> counts;
  counts.reserve(static_cast<size_t>(proto.size()));
  for (const v1::NamedCount& count : proto) counts.push_back({count.name(), count.count()});
  return counts;
}

absl::StatusOr<SeriesExemplars> FromProto(const v1::SeriesExemplars& proto) {
  SeriesExemplars series;
  NARTHEX_ASSIGN_OR_RETURN(series.labels, rpc::FromProto(proto.labels()));
  series.exemplars.reserve(static_cast<size_t>(proto.exemplars_size()));
  for (const v1::Exemplar& exemplar : proto.exemplars()) {
    NARTHEX_ASSIGN_OR_RETURN(Labels labels, rpc::FromProto(exemplar.labels()));
    series.exemplars.push_back({std::move(labels), exemplar.timestamp_ms(), exemplar.value()});
  }
  return series;
}

StorageState FromProto(v1::StatusResponse::State state) {
  if (state == v1::StatusResponse::READY) return StorageState::kReady;
  if (state == v1::StatusResponse::READ_ONLY) return StorageState::kReadOnly;
  if (state == v1::StatusResponse::FAILED) return StorageState::kFailed;
  return StorageState::kStarting;
}

}  // namespace

struct StorageClient::Rep {
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::Storage::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                    absl::Duration timeout, const Request& request, Response* response) {
    return UnaryCall(channel.get(), stub.get(), method, peer, timeout, request, response);
  }

  // Calls `take` with each answer.
  template <typename Request, typename Response, typename Take>
  absl::Status Stream(std::unique_ptr<grpc::ClientAsyncReader<Response>> (
                          v1::Storage::Stub::*method)(grpc::ClientContext*, const Request&,
                                                      grpc::CompletionQueue*),
                      absl::Duration timeout, const Request& request,
                      std::function<bool()> cancelled, const Take& take) {
    WakeChannel(channel.get());
    ResponseStream<Response> stream(
        [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
          return (stub.get()->*method)(context, request, queue);
        },
        RealClock()->Now() + timeout, std::move(cancelled));
    Response response;
    while (stream.Read(&response)) {
      const absl::Status taken = take(response);
      if (!taken.ok()) return Annotate(taken, peer);
    }
    return Annotate(stream.status(), peer);
  }

  std::string peer;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Storage::Stub> stub;
};

StorageClient::StorageClient(Options options)
    : options_(std::move(options)), rep_(std::make_unique<Rep>()) {
  rep_->peer = StrCat("storage ", options_.endpoint);
  rep_->channel = MakeChannel(options_.endpoint);
  rep_->stub = v1::Storage::NewStub(rep_->channel);
}

StorageClient::~StorageClient() = default;

absl::StatusOr<std::vector<SeriesExemplars>> StorageClient::Exemplars(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time,
    std::function<bool()> cancelled) {
  v1::ExemplarsRequest request;
  ToProto(matcher_sets, request.mutable_matcher_sets());
  request.set_min_time_ms(min_time);
  request.set_max_time_ms(max_time);
  std::vector<SeriesExemplars> answer;
  NARTHEX_RETURN_IF_ERROR(rep_->Stream(
      &v1::Storage::Stub::PrepareAsyncExemplars, options_.call_timeout, request,
      std::move(cancelled), [&](const v1::ExemplarsResponse& response) -> absl::Status {
        for (const v1::SeriesExemplars& proto : response.series()) {
          NARTHEX_ASSIGN_OR_RETURN(SeriesExemplars series, FromProto(proto));
          answer.push_back(std::move(series));
        }
        return absl::OkStatus();
      }));
  return answer;
}

absl::StatusOr<std::vector<MetricMetadata>> StorageClient::Metadata(
    std::string_view metric, size_t limit, std::function<bool()> cancelled) {
  v1::MetadataRequest request;
  request.set_metric(std::string(metric));
  request.set_limit(limit);
  std::vector<MetricMetadata> answer;
  NARTHEX_RETURN_IF_ERROR(rep_->Stream(
      &v1::Storage::Stub::PrepareAsyncMetadata, options_.call_timeout, request,
      std::move(cancelled), [&](const v1::MetadataResponse& response) {
        for (const v1::MetricMetadata& proto : response.metadata()) {
          answer.push_back({proto.metric(), proto.type(), proto.help(), proto.unit(), Labels()});
        }
        return absl::OkStatus();
      }));
  return answer;
}

absl::StatusOr<StorageStatistics> StorageClient::Statistics(size_t limit) {
  v1::StatisticsRequest request;
  request.set_limit(static_cast<uint32_t>(limit));
  v1::StatisticsResponse proto;
  NARTHEX_RETURN_IF_ERROR(
      rep_->Call(&v1::Storage::Stub::Statistics, options_.call_timeout, request, &proto));
  StorageStatistics statistics;
  statistics.series = proto.series();
  statistics.label_pairs = proto.label_pairs();
  statistics.chunks = proto.chunks();
  statistics.min_time = proto.min_time_ms();
  statistics.max_time = proto.max_time_ms();
  statistics.series_by_metric_name = FromProto(proto.series_by_metric_name());
  statistics.values_by_label_name = FromProto(proto.values_by_label_name());
  statistics.bytes_by_label_name = FromProto(proto.bytes_by_label_name());
  statistics.series_by_label_pair = FromProto(proto.series_by_label_pair());
  statistics.growth_by_metric_name = FromProto(proto.growth_by_metric_name());
  statistics.growth_window = absl::Milliseconds(proto.growth_window_ms());
  return statistics;
}

absl::StatusOr<IngestAnswer> StorageClient::Ingest(const IngestCall& call) {
  v1::IngestRequest request;
  request.set_protocol(call.protocol == IngestCall::Protocol::kOtlp
                           ? v1::IngestRequest::OTLP
                           : v1::IngestRequest::REMOTE_WRITE);
  request.set_content_type(std::string(call.content_type));
  request.set_content_encoding(std::string(call.content_encoding));
  request.set_body(std::string(call.body));
  v1::IngestResponse response;
  NARTHEX_RETURN_IF_ERROR(
      rep_->Call(&v1::Storage::Stub::Ingest, options_.call_timeout, request, &response));
  IngestAnswer answer;
  answer.status = static_cast<int>(response.status());
  answer.content_type = response.content_type();
  answer.body = std::move(*response.mutable_body());
  for (const auto& header : response.headers()) {
    answer.headers.emplace_back(header.first, header.second);
  }
  return answer;
}

absl::StatusOr<StorageStatus> StorageClient::Status() {
  v1::StatusResponse proto;
  NARTHEX_RETURN_IF_ERROR(
      rep_->Call(&v1::Storage::Stub::Status, options_.status_timeout, v1::StatusRequest(), &proto));
  StorageStatus status;
  status.state = FromProto(proto.state());
  status.reason = proto.reason();
  status.segment_first = proto.replay().segment_first();
  status.segment_last = proto.replay().segment_last();
  status.segment_current = proto.replay().segment_current();
  status.blocks.assign(proto.blocks().begin(), proto.blocks().end());
  status.retention = proto.retention();
  status.corruptions = proto.corruptions();
  return status;
}

absl::Status StorageClient::DeleteSeries(std::span<const std::vector<Matcher>> matcher_sets,
                                         Timestamp min_time, Timestamp max_time) {
  v1::AdminRequest request;
  v1::DeleteSeries* const proto = request.mutable_delete_series();
  ToProto(matcher_sets, proto->mutable_matcher_sets());
  proto->set_min_time_ms(min_time);
  proto->set_max_time_ms(max_time);
  v1::AdminResponse response;
  return rep_->Call(&v1::Storage::Stub::Admin, options_.admin_timeout, request, &response);
}

absl::Status StorageClient::CleanTombstones() {
  v1::AdminRequest request;
  request.mutable_clean_tombstones();
  v1::AdminResponse response;
  return rep_->Call(&v1::Storage::Stub::Admin, options_.admin_timeout, request, &response);
}

absl::StatusOr<std::string> StorageClient::Snapshot(bool skip_head) {
  v1::AdminRequest request;
  request.mutable_snapshot()->set_skip_head(skip_head);
  v1::AdminResponse response;
  NARTHEX_RETURN_IF_ERROR(
      rep_->Call(&v1::Storage::Stub::Admin, options_.admin_timeout, request, &response));
  return response.snapshot();
}

absl::Status StorageClient::Compact() {
  v1::AdminRequest request;
  request.mutable_compact();
  v1::AdminResponse response;
  return rep_->Call(&v1::Storage::Stub::Admin, options_.admin_timeout, request, &response);
}

}  // namespace narthex::rpc
