// prometheus.ReadResponse: 1 results{1 timeseries{1 labels, 2 samples, 4 histograms}}
// prometheus.ChunkedReadResponse: 1 chunked_series{1 labels, 2 chunks{1 min_time_ms, 2 max_time_ms,
//   3 type, 4 data}}, 2 query_index. The types of chunks are the encodings' numbers.
#include "lib/remote/read_handler.h"

#include <string>
#include <utility>
#include <vector>

#include "lib/base/crc32c.h"
#include "lib/base/snappy.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk_writer.h"
#include "lib/labels/labels_builder.h"
#include "lib/remote/histogram_message.h"
#include "lib/remote/proto_writer.h"

namespace narthex::remote {
namespace {

constexpr std::string_view kStreamedType =
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

Labels WithExternalLabels(const Labels& labels, const Labels& external) {
  if (external.empty()) return labels;
  LabelsBuilder builder(labels);
  for (const LabelView label : external) {
    if (!labels.Has(label.name)) builder.Set(label.name, label.value);
  }
  return builder.Build();
}

void WriteLabels(const Labels& labels, ProtoWriter* writer) {
  for (const LabelView label : labels) {
    const ProtoWriter::Mark mark = writer->Begin(1);
    writer->Bytes(1, label.name);
    writer->Bytes(2, label.value);
    writer->End(mark);
  }
}

void WriteSample(const SampleBuffer& samples, size_t index, ProtoWriter* writer) {
  const Timestamp timestamp = samples.timestamps()[index];
  const SampleKind kind = samples.kind(index);
  const ProtoWriter::Mark mark = writer->Begin(kind == SampleKind::kFloat ? 2 : 4);
  switch (kind) {
    case SampleKind::kFloat:
      writer->Double(1, samples.values()[index]);
      writer->Int64(2, timestamp);
      break;
    case SampleKind::kHistogram:
      WriteHistogram(samples.histogram(index), timestamp, writer);
      break;
    case SampleKind::kFloatHistogram:
      WriteHistogram(samples.float_histogram(index), timestamp, writer);
      break;
  }
  writer->End(mark);
}

http::ServerResponse ErrorAnswer(const absl::Status& status) {
  int code = 500;
  if (absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status)) code = 400;
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) code = 503;
  if (absl::IsCancelled(status)) code = 499;
  return http::ServerResponse::Error(code, Message(status));
}

// Sends the series of one answer of chunks, in frames.
class ChunkFrames {
 public:
  ChunkFrames(size_t frame_bytes_max, const http::BodySink* sink)
      : frame_bytes_max_(frame_bytes_max), sink_(sink) {}

  // False when the client has gone.
  bool Send(size_t query, const Labels& labels, const SampleBuffer& samples) {
    chunks_.AppendAll(samples);
    const std::vector<chunkenc::FinishedChunk> finished = chunks_.Finish();
    for (size_t next = 0; next < finished.size();) {
      if (!SendFrame(query, labels, finished, &next)) return false;
    }
    return true;
  }

 private:
  // Puts as many chunks into the frame as it bears, one at least.
  bool SendFrame(size_t query, const Labels& labels,
                 const std::vector<chunkenc::FinishedChunk>& chunks, size_t* next) {
    message_.clear();
    ProtoWriter writer(&message_);
    const ProtoWriter::Mark series = writer.Begin(1);
    WriteLabels(labels, &writer);
    do {
      const chunkenc::FinishedChunk& chunk = chunks[(*next)++];
      const ProtoWriter::Mark mark = writer.Begin(2);
      writer.Int64(1, chunk.min_time);
      writer.Int64(2, chunk.max_time);
      writer.Uint64(3, static_cast<uint64_t>(chunk.encoding));
      writer.Bytes(4, chunk.bytes);
      writer.End(mark);
    } while (*next < chunks.size() &&
             message_.size() + chunks[*next].bytes.size() < frame_bytes_max_);
    writer.End(series);
    writer.Uint64(2, query);
    frame_.clear();
    AppendUvarint(&frame_, message_.size());
    AppendBig<uint32_t>(&frame_, Crc32c(message_));
    frame_.append(message_);
    return (*sink_)(frame_);
  }

  const size_t frame_bytes_max_;
  const http::BodySink* const sink_;
  chunkenc::ChunkWriter chunks_;
  std::string message_;
  std::string frame_;
};

}  // namespace

// One of the requests that run at once.
class ReadHandler::Slot {
 public:
  // Waits until there is one, or until the client has gone: see taken().
  Slot(ReadHandler* handler, const std::function<bool()>& cancelled) : handler_(handler) {
    constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
    const int running_max = handler->options_.concurrency_max;
    handler->queries_->Add(1);
    MutexLock lock(&handler->mu_);
    while (running_max > 0 && handler->running_ >= running_max) {
      if (cancelled()) return;
      handler->slot_free_.WaitWithTimeout(&handler->mu_, kPollInterval);
    }
    taken_ = true;
    ++handler->running_;
  }
  ~Slot() {
    handler_->queries_->Add(-1);
    if (!taken_) return;
    MutexLock lock(&handler_->mu_);
    --handler_->running_;
    handler_->slot_free_.Signal();
  }
  bool taken() const { return taken_; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  ReadHandler* const handler_;
  bool taken_ = false;
};

ReadHandler::ReadHandler(ReadHandlerOptions options)
    : options_(std::move(options)),
      queries_(options_.registry->AddGauge(
          "prometheus_api_remote_read_queries",
          "The current number of remote read queries being executed or waiting.")) {}

ReadHandler::~ReadHandler() = default;

Labels ReadHandler::ExternalLabels() const {
  return options_.external_labels ? options_.external_labels() : Labels();
}

http::ServerResponse ReadHandler::Handle(const http::ServerRequest& request) {
  std::string buffer;
  std::string_view message;
  const absl::Status unpacked =
      SnappyUncompress(request.body, options_.message_bytes_max, &buffer, &message);
  if (!unpacked.ok()) return ErrorAnswer(unpacked);
  auto read = std::make_shared<ReadRequest>();
  const absl::Status decoded = DecodeReadRequest(message, read.get());
  if (!decoded.ok()) return ErrorAnswer(decoded);
  const Labels external = ExternalLabels();
  for (storage::Selector& query : read->queries) RemoveExternalLabels(external, &query.matchers);
  auto slot = std::make_shared<Slot>(this, request.cancelled);
  if (!slot->taken()) return ErrorAnswer(Cancelled("the client has gone"));
  if (read->type == ReadAnswerType::kSamples) return AnswerSamples(*read, request.cancelled);
  return AnswerChunks(std::move(read), std::move(slot), request.cancelled);
}

http::ServerResponse ReadHandler::AnswerSamples(const ReadRequest& read,
                                                const std::function<bool()>& cancelled) {
  const Labels external = ExternalLabels();
  std::string message;
  ProtoWriter writer(&message);
  SampleBuffer samples;
  for (const storage::Selector& query : read.queries) {
    storage::SelectOptions options;
    options.cancelled = cancelled;
    absl::StatusOr<storage::SelectResult> result =
        options_.querier->Select(std::span(&query, 1), options);
    if (!result.ok()) return ErrorAnswer(result.status());
    storage::SeriesSet& set = *result->sets[0];
    uint64_t count = 0;
    const ProtoWriter::Mark mark = writer.Begin(1);
    while (set.Next()) {
      samples.Clear();
      if (const absl::Status status = set.ReadSamples(&samples); !status.ok()) {
        return ErrorAnswer(status);
      }
      count += samples.size();
      if (options_.samples_max > 0 && count > options_.samples_max) {
        return ErrorAnswer(ResourceExhausted("exceeded sample limit (", options_.samples_max, ")"));
      }
      const ProtoWriter::Mark series = writer.Begin(1);
      WriteLabels(WithExternalLabels(set.labels(), external), &writer);
      for (size_t i = 0; i < samples.size(); ++i) WriteSample(samples, i, &writer);
      writer.End(series);
    }
    if (!set.status().ok()) return ErrorAnswer(set.status());
    writer.End(mark);
  }
  http::ServerResponse response;
  response.content_type = "application/x-protobuf";
  response.headers.Set("Content-Encoding", "snappy");
  std::string packed;
  const std::string_view result = SnappyCompress(message, &packed);
  packed.resize(result.size());
  response.body = std::move(packed);
  return response;
}

http::ServerResponse ReadHandler::AnswerChunks(std::shared_ptr<const ReadRequest> read,
                                               std::shared_ptr<Slot> slot,
                                               const std::function<bool()>& cancelled) {
  // All queries are asked before the head of the answer goes out, so that their errors can be told.
  auto results = std::make_shared<std::vector<storage::SelectResult>>();
  for (const storage::Selector& query : read->queries) {
    storage::SelectOptions options;
    options.sorted = true;
    options.cancelled = cancelled;
    absl::StatusOr<storage::SelectResult> result =
        options_.querier->Select(std::span(&query, 1), options);
    if (!result.ok()) return ErrorAnswer(result.status());
    results->push_back(std::move(result).value());
  }
  http::ServerResponse response;
  response.content_type = kStreamedType;
  response.stream = [frame_bytes_max = options_.frame_bytes_max, external = ExternalLabels(), read,
                     slot, results](const http::BodySink& sink) {
    ChunkFrames frames(frame_bytes_max, &sink);
    SampleBuffer samples;
    for (size_t query = 0; query < results->size(); ++query) {
      storage::SeriesSet& set = *(*results)[query].sets[0];
      while (set.Next()) {
        samples.Clear();
        if (!set.ReadSamples(&samples).ok()) return false;
        if (!frames.Send(query, WithExternalLabels(set.labels(), external), samples)) return false;
      }
      if (!set.status().ok()) return false;
    }
    return true;
  };
  return response;
}

}  // namespace narthex::remote
