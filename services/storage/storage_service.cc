#include "services/storage/storage_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <set>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/rpc/status.h"
#include "narthex/v1/storage.grpc.pb.h"
#include "services/storage/append_session.h"
#include "services/storage/inspection_service.h"
#include "services/storage/read_message_codec.h"
#include "services/storage/read_service.h"
#include "services/storage/stall_watch.h"

namespace narthex::storage_service {
namespace {

using ReadStream = grpc::ServerReaderWriter<ReadMessage, v1::ReadRequest>;
using AppendStreamWriter = grpc::ServerReaderWriter<v1::AppendResponse, v1::AppendRequest>;

// Plain acknowledgements wait so long for company.
constexpr absl::Duration kAcknowledgeDelay = absl::Milliseconds(2);

void Merge(AppendNews&& from, AppendNews* to) {
  to->accepted_sequence = from.accepted_sequence;
  to->new_references.insert(to->new_references.end(), from.new_references.begin(),
                            from.new_references.end());
  for (size_t i = 0; i < from.refused.size(); ++i) to->refused[i] += from.refused[i];
  if (from.refused_sequence != 0) {
    to->refused_sequence = from.refused_sequence;
    to->unknown_references = std::move(from.unknown_references);
  }
  to->quarantined_sequences.insert(to->quarantined_sequences.end(),
                                   from.quarantined_sequences.begin(),
                                   from.quarantined_sequences.end());
}

void ToProto(const AppendNews& news, uint64_t durable, v1::AppendAcknowledgement* proto) {
  proto->set_accepted_sequence(news.accepted_sequence);
  proto->set_durable_sequence(durable);
  for (const tsdb::AppendResult::NewReference& reference : news.new_references) {
    v1::NewReference* const out = proto->add_new_references();
    out->set_number(reference.number);
    out->set_reference(reference.reference);
  }
  for (size_t i = 0; i < news.refused.size(); ++i) {
    if (news.refused[i] == 0) continue;
    v1::Refusals* const out = proto->add_refusals();
    out->set_reason(static_cast<uint32_t>(i));
    out->set_samples(news.refused[i]);
  }
  proto->set_refused_sequence(news.refused_sequence);
  for (const uint64_t reference : news.unknown_references) {
    proto->add_unknown_references(reference);
  }
  for (const uint64_t sequence : news.quarantined_sequences) {
    proto->add_quarantined_sequences(sequence);
  }
}

struct SelectMetrics {
  explicit SelectMetrics(metrics::Registry* registry)
      : bytes(registry->AddCounter("narthex_storage_select_bytes_total",
                                   "Bytes of packed series given to the transport by Select.")),
        stalled(registry->AddCounter("narthex_storage_stalled_answers_total",
                                     "Answers that were ended because nobody took them.")) {}
  metrics::Counter* const bytes;
  metrics::Counter* const stalled;
};

// The answering half of an Append stream: a thread that sends what the reading half reports, and
// what becomes durable.
class Acknowledger {
 public:
  Acknowledger(tsdb::Head* head, const tsdb::Sender* sender, AppendStreamWriter* stream,
               const tsdb::Head::SenderPosition& welcome)
      : head_(head), sender_(sender), stream_(stream), durable_sent_(welcome.durable) {
    news_.accepted_sequence = welcome.applied;
    thread_ = Thread("append-ack", [this] { Run(); });
  }
  ~Acknowledger() { Finish(); }

  void Report(AppendNews news) {
    MutexLock lock(&mu_);
    Merge(std::move(news), &news_);
    dirty_ = true;
    // While it waits for company anyway, only what is urgent is worth waking it.
    if (!lingering_ || news_.urgent()) changed_.Signal();
  }
  void OnSynced() {
    MutexLock lock(&mu_);
    synced_ = true;
    changed_.Signal();
  }
  // Sends what there is, and joins.
  void Finish() {
    {
      MutexLock lock(&mu_);
      finished_ = true;
      changed_.Signal();
    }
    thread_.Join();
  }

 private:
  void Run() {
    mu_.Lock();
    while (true) {
      while (!dirty_ && !synced_ && !finished_) changed_.Wait(&mu_);
      if (!dirty_ && !synced_) break;
      if (dirty_ && !news_.urgent() && !finished_) {
        lingering_ = true;
        changed_.WaitWithTimeout(&mu_, kAcknowledgeDelay);
        lingering_ = false;
      }
      const bool had_news = dirty_;
      AppendNews news;
      news.accepted_sequence = news_.accepted_sequence;
      std::swap(news, news_);
      news_.accepted_sequence = news.accepted_sequence;
      dirty_ = false;
      synced_ = false;
      mu_.Unlock();
      const uint64_t durable = head_->PositionOf(*sender_).durable;
      if (had_news || durable > durable_sent_) {
        v1::AppendResponse response;
        ToProto(news, durable, response.mutable_acknowledgement());
        // When the stream is broken the reading half finds out as well.
        stream_->Write(response);
        durable_sent_ = durable;
      }
      mu_.Lock();
    }
    mu_.Unlock();
  }

  tsdb::Head* const head_;
  const tsdb::Sender* const sender_;
  AppendStreamWriter* const stream_;
  uint64_t durable_sent_;  // Only touched by Run().

  Mutex mu_;
  CondVar changed_;
  AppendNews news_ ABSL_GUARDED_BY(mu_);
  bool dirty_ ABSL_GUARDED_BY(mu_) = false;
  bool lingering_ ABSL_GUARDED_BY(mu_) = false;
  bool synced_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;

  Thread thread_;
};

}  // namespace

class StorageService::Rep : public v1::Storage::Service {
 public:
  explicit Rep(Options options)
      : options_(std::move(options)),
        db_(options_.db),
        append_metrics_(options_.registry),
        select_metrics_(options_.registry),
        read_environment_(
            {options_.db, options_.clock,
             [this](size_t bytes) { select_metrics_.bytes->Increment(static_cast<double>(bytes)); },
             options_.external_labels}),
        inspection_({options_.db, options_.clock, options_.logger, options_.enable_admin,
                     options_.retention_text}),
        watch_(options_.clock) {
    answers_ = options_.registry->AddCallback(
        "narthex_storage_answers", "Answers in pieces that are being sent.", "gauge", {},
        [this] { return static_cast<double>(watch_.answers()); });
    // In place of the generated handler, whose messages protobuf would copy.
    MarkMethodStreamed(kReadIndex,
                       new grpc::internal::BidiStreamingHandler<Rep, v1::ReadRequest, ReadMessage>(
                           [](Rep* rep, grpc::ServerContext* context, ReadStream* stream) {
                             return rep->AnswerQuestions(context, stream);
                           },
                           this));
    watcher_ = Thread("service-watch", [this] {
      while (!watch_stop_.WaitFor(kWatchInterval)) Watch();
    });
  }
  ~Rep() override { watch_stop_.Set(); }

  void OnReady() { inspection_.NoteGrowth(); }

  void OnSynced() {
    MutexLock lock(&mu_);
    for (const Stream& stream : streams_) stream.acknowledger->OnSynced();
  }

  void Stop() {
    MutexLock lock(&mu_);
    stopping_ = true;
    for (const Stream& stream : streams_) stream.context->TryCancel();
    // A stream on which an answer is being sent ends with it.
    for (const OpenRead& read : reads_) {
      if (!*read.answering) read.context->TryCancel();
    }
  }

  grpc::Status Append(grpc::ServerContext* context, AppendStreamWriter* stream) override {
    const absl::Status appendable = db_->CheckAppendable();
    if (!appendable.ok()) return rpc::ToGrpc(appendable);
    v1::AppendRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    if (!request.has_hello()) {
      return rpc::ToGrpc(InvalidArgument("the first message of an Append stream must be hello"));
    }
    const std::string sender_id = request.hello().sender_id();
    const Logger logger = options_.logger.With(
        {{"sender", request.hello().description()}, {"peer", context->peer()}});
    if (sender_id.empty() || sender_id.size() > wal::kSenderIdMax) {
      return rpc::ToGrpc(InvalidArgument("sender_id must have 1 to ", wal::kSenderIdMax, " bytes"));
    }
    tsdb::Sender* const sender = db_->head().FindSender(sender_id);
    const tsdb::Head::SenderPosition position = db_->head().PositionOf(*sender);
    v1::AppendResponse response;
    v1::AppendWelcome* const welcome = response.mutable_welcome();
    welcome->set_reference_space(db_->head().reference_space());
    welcome->set_reference_max(db_->head().WelcomeReferenceMax(sender));
    welcome->set_accepted_sequence(position.applied);
    welcome->set_durable_sequence(position.durable);
    if (!stream->Write(response)) return grpc::Status::OK;
    logger.Info("append stream opened",
                {{"accepted", position.applied}, {"durable", position.durable}});

    Acknowledger acknowledger(&db_->head(), sender, stream, position);
    const Stream open = {context, &acknowledger};
    if (!Register(open, &streams_)) return rpc::ToGrpc(Unavailable("shutting down"));
    AppendSession session(db_, sender, &append_metrics_, logger);
    const absl::Status status = ReadBatches(stream, &session, &acknowledger);
    acknowledger.Finish();
    Unregister(open, &streams_);
    if (status.ok()) {
      logger.Info("append stream closed");
    } else {
      logger.Warn("append stream broken off", {{"err", status}});
    }
    return rpc::ToGrpc(status);
  }

  grpc::Status AnswerQuestions(grpc::ServerContext* context, ReadStream* stream) {
    std::atomic<bool> answering{false};
    const OpenRead open = {context, &answering};
    if (!Register(open, &reads_)) return rpc::ToGrpc(Unavailable("shutting down"));
    v1::ReadRequest request;
    bool go_on = true;
    while (go_on && stream->Read(&request)) {
      answering = true;
      AnswerStream<ReadStream, ReadMessage> answer(&watch_, context, stream);
      ReadService service(
          &read_environment_, CancelledOf(context),
          [&](v1::ReadResponse* response) { return answer.Write(ReadMessage(response)); });
      go_on = service.Answer(request);
      answering = false;
      go_on = go_on && !stopping_;
    }
    Unregister(open, &reads_);
    return grpc::Status::OK;
  }

  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                      v1::ReloadResponse*) override {
    return rpc::ToGrpc(options_.reload());
  }

  grpc::Status Ingest(grpc::ServerContext*, const v1::IngestRequest* request,
                      v1::IngestResponse* response) override {
    if (!options_.ingest) return rpc::ToGrpc(FailedPrecondition("nothing is taken here"));
    rpc::IngestCall call;
    call.protocol = request->protocol() == v1::IngestRequest::OTLP
                        ? rpc::IngestCall::Protocol::kOtlp
                        : rpc::IngestCall::Protocol::kRemoteWrite;
    call.content_type = request->content_type();
    call.content_encoding = request->content_encoding();
    call.body = request->body();
    rpc::IngestAnswer answer = options_.ingest(call);
    response->set_status(static_cast<uint32_t>(answer.status));
    response->set_content_type(answer.content_type);
    response->set_body(std::move(answer.body));
    for (auto& header : answer.headers) {
      (*response->mutable_headers())[header.first] = header.second;
    }
    return grpc::Status::OK;
  }

  grpc::Status Exemplars(grpc::ServerContext* context, const v1::ExemplarsRequest* request,
                         grpc::ServerWriter<v1::ExemplarsResponse>* writer) override {
    AnswerStream<grpc::ServerWriter<v1::ExemplarsResponse>, v1::ExemplarsResponse> stream(
        &watch_, context, writer);
    return rpc::ToGrpc(inspection_.Exemplars(*request, CancelledOf(context), stream.Sender()));
  }

  grpc::Status Metadata(grpc::ServerContext* context, const v1::MetadataRequest* request,
                        grpc::ServerWriter<v1::MetadataResponse>* writer) override {
    AnswerStream<grpc::ServerWriter<v1::MetadataResponse>, v1::MetadataResponse> stream(
        &watch_, context, writer);
    return rpc::ToGrpc(inspection_.Metadata(*request, CancelledOf(context), stream.Sender()));
  }

  grpc::Status Statistics(grpc::ServerContext*, const v1::StatisticsRequest* request,
                          v1::StatisticsResponse* response) override {
    return rpc::ToGrpc(inspection_.Statistics(*request, response));
  }

  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusResponse* response) override {
    return rpc::ToGrpc(inspection_.Status(response));
  }

  grpc::Status Admin(grpc::ServerContext* context, const v1::AdminRequest* request,
                     v1::AdminResponse* response) override {
    return rpc::ToGrpc(inspection_.Admin(*request, CancelledOf(context), response));
  }

 private:
  static constexpr absl::Duration kWatchInterval = absl::Seconds(1);
  static constexpr int kReadIndex = 1;  // Among the service's methods, in the order of the file.

  // The writing end of an answer in pieces, under the eyes of the watch.
  template <typename Writer, typename Response>
  class AnswerStream {
   public:
    AnswerStream(StallWatch* watch, grpc::ServerContext* context, Writer* writer)
        : writer_(writer), answer_(watch, [context] { context->TryCancel(); }) {}
    // False: nobody wants more.
    bool Write(const Response& response) {
      answer_.Sending();
      const bool written = writer_->Write(response);
      answer_.Sent();
      return written;
    }
    std::function<bool(const Response&)> Sender() {
      return [this](const Response& response) { return Write(response); };
    }

   private:
    Writer* const writer_;
    StallWatch::Answer answer_;
  };

  static std::function<bool()> CancelledOf(const grpc::ServerContext* context) {
    return [context] { return context->IsCancelled(); };
  }

  void Watch() {
    inspection_.NoteGrowth();
    const absl::Duration now = options_.clock->Monotonic();
    if (options_.each_minute && now - minute_ >= absl::Minutes(1)) {
      minute_ = now;
      options_.each_minute();
    }
    const int cancelled = watch_.CancelStalled(options_.stall_max);
    if (cancelled == 0) return;
    select_metrics_.stalled->Increment(cancelled);
    options_.logger.Warn("ended answers that nobody took for too long", {{"answers", cancelled}});
  }

  struct Stream {
    grpc::ServerContext* context;
    Acknowledger* acknowledger;
    friend auto operator<=>(const Stream&, const Stream&) = default;
  };
  struct OpenRead {
    grpc::ServerContext* context;
    const std::atomic<bool>* answering;
    friend auto operator<=>(const OpenRead&, const OpenRead&) = default;
  };

  void ShowStreamsLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    append_metrics_.streams->Set(static_cast<double>(streams_.size()));
    append_metrics_.appenders->Set(static_cast<double>(streams_.size()));
  }
  template <typename Open>
  bool Register(const Open& stream, std::set<Open>* streams) {
    MutexLock lock(&mu_);
    if (stopping_) return false;
    streams->insert(stream);
    ShowStreamsLocked();
    return true;
  }
  template <typename Open>
  void Unregister(const Open& stream, std::set<Open>* streams) {
    MutexLock lock(&mu_);
    streams->erase(stream);
    ShowStreamsLocked();
  }

  absl::Status ReadBatches(AppendStreamWriter* stream, AppendSession* session,
                           Acknowledger* acknowledger) {
    v1::AppendRequest request;
    while (stream->Read(&request)) {
      if (!request.has_batches()) return InvalidArgument("a second hello");
      AppendNews news;
      absl::Status status;
      for (const v1::AppendFrame& frame : request.batches().frames()) {
        status = session->OnFrame(frame.sequence(), frame.columns(), frame.commit(), &news);
        if (!status.ok()) break;
      }
      // Batches before a failed one are stored.
      if (!request.batches().frames().empty()) acknowledger->Report(std::move(news));
      NARTHEX_RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  // Constant after construction.
  const Options options_;
  tsdb::Db* const db_;
  const AppendMetrics append_metrics_;
  const SelectMetrics select_metrics_;
  const ReadService::Environment read_environment_;

  // Synchronise themselves.
  Inspection inspection_;
  StallWatch watch_;
  StopSignal watch_stop_;
  std::shared_ptr<void> answers_;

  Mutex mu_;
  std::set<Stream> streams_ ABSL_GUARDED_BY(mu_);
  std::set<OpenRead> reads_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> stopping_{false};  // Written under mu_.

  absl::Duration minute_ = -absl::InfiniteDuration();  // Only touched by watcher_.
  Thread watcher_;
};

StorageService::StorageService(Options options) : rep_(std::make_unique<Rep>(std::move(options))) {}
StorageService::~StorageService() = default;
grpc::Service* StorageService::service() { return rep_.get(); }
void StorageService::OnReady() { rep_->OnReady(); }
void StorageService::OnSynced() { rep_->OnSynced(); }
void StorageService::Stop() { rep_->Stop(); }

}  // namespace narthex::storage_service
