#include "lib/rpc/remote_storage.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <optional>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/mutex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/label_cache.h"
#include "lib/rpc/read_streams.h"
#include "lib/rpc/unary_call.h"
#include "lib/storage/chunk_samples.h"
#include "lib/storage/select_frame.h"
#include "narthex/v1/storage.grpc.pb.h"

namespace narthex::rpc {
namespace {

using storage::SelectFrameReader;

// Reads the label sets of a Labels answer, one call of Next() a set.
class LabelSetReader {
 public:
  explicit LabelSetReader(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.done(); }

  // InvalidArgument for malformed bytes. The empty set stands for an id that is gone.
  absl::StatusOr<Labels> Next() {
    uint64_t count = 0;
    if (!bytes_.ReadUvarint(&count)) return InvalidArgument("labels answer: no label count");
    views_.clear();
    for (uint64_t i = 0; i < count; ++i) {
      LabelView label;
      if (!bytes_.ReadLengthPrefixed(&label.name) || !bytes_.ReadLengthPrefixed(&label.value)) {
        return InvalidArgument("labels answer: a label is cut off");
      }
      if (label.value.empty() || (!views_.empty() && views_.back().name >= label.name)) {
        return InvalidArgument("labels answer: names are not sorted, or a value is empty");
      }
      views_.push_back(label);
    }
    return Labels::FromSorted(views_);
  }

 private:
  ByteReader bytes_;
  std::vector<LabelView> views_;
};

void FillSelector(const storage::Selector& selector, v1::SelectSelector* proto) {
  const storage::SelectHints& hints = selector.hints;
  ToProto(selector.matchers, proto->mutable_matchers());
  proto->set_min_time_ms(hints.start);
  proto->set_max_time_ms(hints.end);
  proto->set_step_ms(hints.step_ms);
  proto->set_range_ms(hints.range_ms);
  proto->set_newest_only(hints.newest_only);
  proto->set_labels_only(hints.labels_only);
  proto->set_function(hints.function);
  for (const std::string& name : hints.grouping) proto->add_grouping(name);
  proto->set_by(hints.by);
  proto->set_limit(hints.limit);
}

void FillMatcherSets(std::span<const std::vector<Matcher>> matcher_sets,
                     google::protobuf::RepeatedPtrField<v1::MatcherSet>* proto) {
  for (const std::vector<Matcher>& matchers : matcher_sets) {
    ToProto(matchers, proto->Add()->mutable_matchers());
  }
}

storage::DataChanges FromProto(const v1::DataChanges& proto) {
  // A node that names no revision knows none either.
  if (proto.revision().empty()) return storage::DataChanges();
  return {proto.revision(), proto.oldest_change_ms()};
}

}  // namespace

// The connection, and what is kept from call to call.
class RemoteQuerier::Node {
 public:
  explicit Node(RemoteQuerierOptions options)
      : options_(std::move(options)),
        peer_(StrCat("storage ", options_.endpoint)),
        streams_(options_.endpoint, options_.silence_max),
        cache_(options_.label_cache_bytes_max) {}

  const RemoteQuerierOptions& options() const { return options_; }
  ReadStreams* streams() { return &streams_; }
  LabelCache& cache() { return cache_; }

  absl::Status Named(const absl::Status& status) const { return Annotate(status, peer_); }

  // Runs a call with one answer.
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::Storage::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                    const Request& request, Response* response) {
    return UnaryCall(streams_.channel(), streams_.stub(), method, peer_, options_.call_timeout,
                     request, response);
  }

  // Asks what has no deadline of its own, and calls take(response) for each message.
  template <typename Take>
  absl::Status Ask(v1::ReadRequest request, const Take& take) {
    request.set_timeout_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(options_.call_timeout)));
    ReadCall call(&streams_, std::move(request), RealClock()->Now() + options_.call_timeout, {});
    v1::ReadResponse response;
    while (call.Read(&response)) take(&response);
    return Named(call.status());
  }
  absl::StatusOr<std::vector<std::string>> AskStrings(v1::ReadRequest request) {
    std::vector<std::string> strings;
    NARTHEX_RETURN_IF_ERROR(Ask(std::move(request), [&](v1::ReadResponse* response) {
      strings.insert(strings.end(), std::make_move_iterator(response->mutable_strings()->begin()),
                     std::make_move_iterator(response->mutable_strings()->end()));
    }));
    return strings;
  }

  // The label sets of `ids` into *labels, from the cache where they are there. Id 0 is left alone.
  absl::Status Resolve(const std::string& space, std::span<const uint64_t> ids,
                       const storage::SelectOptions& options, std::vector<Labels>* labels) {
    std::vector<size_t> missing;
    cache_.Find(space, ids, labels, &missing);
    if (missing.empty()) return absl::OkStatus();
    v1::ReadRequest question;
    v1::LabelsRequest& request = *question.mutable_labels();
    request.set_reference_space(space);
    request.mutable_id_deltas()->Reserve(static_cast<int>(missing.size()));
    uint64_t previous = 0;
    for (const size_t i : missing) {
      request.add_id_deltas(static_cast<int64_t>(ids[i] - previous));
      previous = ids[i];
    }
    ReadCall call(&streams_, std::move(question), options.deadline, options.cancelled);
    std::vector<uint64_t> found_ids;
    std::vector<Labels> found;
    found_ids.reserve(missing.size());
    found.reserve(missing.size());
    v1::ReadResponse response;
    while (call.Read(&response)) {
      LabelSetReader reader(response.labels());
      while (!reader.done()) {
        if (found.size() == missing.size()) return Named(DataLoss("labels answer: too many sets"));
        absl::StatusOr<Labels> next = reader.Next();
        if (!next.ok()) return Named(DataLoss(Message(next.status())));
        const size_t i = missing[found.size()];
        if (next->empty()) {
          // Ids are never used again, so nothing wrong can be answered; the series was dropped a
          // moment ago.
          return Named(Unavailable("series ", ids[i], " was dropped while it was read; ask again"));
        }
        (*labels)[i] = *next;
        found_ids.push_back(ids[i]);
        found.push_back(*std::move(next));
      }
    }
    if (absl::IsFailedPrecondition(call.status())) {
      return Named(Unavailable("the node was restarted while it was read; ask again"));
    }
    NARTHEX_RETURN_IF_ERROR(Named(call.status()));
    if (found.size() != missing.size()) {
      return Named(DataLoss("labels answer: ", found.size(), " sets for ", missing.size(), " ids"));
    }
    cache_.Insert(space, found_ids, found);
    return absl::OkStatus();
  }

  // The node's external labels as its last answer had them; nothing before the first one.
  std::optional<Labels> external_labels() const {
    MutexLock lock(&mu_);
    return external_labels_;
  }
  absl::Status TakeHeader(const v1::ReadHeader& header) {
    absl::StatusOr<Labels> labels = FromProto(header.external_labels());
    if (!labels.ok()) return Named(DataLoss("external labels: ", Message(labels.status())));
    MutexLock lock(&mu_);
    external_labels_ = *std::move(labels);
    return absl::OkStatus();
  }

 private:
  // Constant after construction.
  const RemoteQuerierOptions options_;
  const std::string peer_;
  // Synchronise themselves.
  ReadStreams streams_;
  LabelCache cache_;

  mutable Mutex mu_;
  std::optional<Labels> external_labels_ ABSL_GUARDED_BY(mu_);
};

// The answer to one Select: hands each set its frames and keeps those of others until they are
// asked for.
//
// Thread safety: none; it belongs to the thread that reads the sets.
class RemoteQuerier::Stream {
 public:
  Stream(std::shared_ptr<Node> node, size_t selectors, const storage::SelectOptions& options)
      : node_(std::move(node)),
        options_(options),
        buffer_bytes_max_(options.bytes_max != 0 ? options.bytes_max
                                                 : node_->options().buffer_bytes_max),
        queues_(selectors) {}

  // Sends the request and waits for the first message of the answer.
  absl::Status Open(std::span<const storage::Selector> selectors) {
    v1::ReadRequest question;
    v1::SelectRequest& request = *question.mutable_select();
    for (const storage::Selector& selector : selectors) {
      FillSelector(selector, request.add_selectors());
    }
    request.set_sorted(options_.sorted);
    request.set_series_max(options_.series_max);
    request.set_samples_max(options_.samples_max);
    request.set_bytes_max(options_.bytes_max);
    request.set_known_revision(options_.known_revision);
    if (options_.deadline != absl::InfiniteFuture()) {
      const absl::Duration left = options_.deadline - RealClock()->Now();
      question.set_timeout_ms(
          static_cast<uint64_t>(std::max<int64_t>(1, absl::ToInt64Milliseconds(left))));
    }
    call_.emplace(node_->streams(), std::move(question), options_.deadline, options_.cancelled);
    if (!call_->Read(&response_)) {
      End(node_->Named(call_->status()));
      if (status_.ok()) status_ = node_->Named(DataLoss("the answer has no header"));
      return status_;
    }
    if (!response_.has_header()) return node_->Named(DataLoss("the answer has no header"));
    space_ = response_.header().reference_space();
    changes_ = FromProto(response_.header().changes());
    NARTHEX_RETURN_IF_ERROR(node_->TakeHeader(response_.header()));
    TakeFrames();
    return absl::OkStatus();
  }

  // The next frame of set `selector`; nothing at its end or after an error (see status()).
  std::optional<std::string> NextFrame(size_t selector) {
    Queue& queue = queues_[selector];
    while (queue.frames.empty() && !ended_ && reading_ <= selector) ReadOne();
    if (queue.frames.empty()) return std::nullopt;
    std::string frame = std::move(queue.frames.front());
    queue.frames.pop_front();
    buffered_bytes_ -= frame.size();
    return frame;
  }

  // The set will not be read any further.
  void Abandon(size_t selector) {
    Queue& queue = queues_[selector];
    for (const std::string& frame : queue.frames) buffered_bytes_ -= frame.size();
    queue.frames.clear();
    queue.abandoned = true;
  }

  absl::Status Resolve(std::span<const uint64_t> ids, std::vector<Labels>* labels) {
    return node_->Resolve(space_, ids, options_, labels);
  }
  absl::Status Named(const absl::Status& status) const { return node_->Named(status); }
  const storage::DataChanges& changes() const { return changes_; }
  const absl::Status& status() const { return status_; }

 private:
  struct Queue {
    std::deque<std::string> frames;
    bool abandoned = false;
  };

  void End(absl::Status status) {
    ended_ = true;
    status_ = std::move(status);
    call_.reset();
  }

  void ReadOne() {
    if (!call_->Read(&response_)) return End(node_->Named(call_->status()));
    if (response_.has_header()) return End(node_->Named(DataLoss("a second header")));
    TakeFrames();
  }

  void TakeFrames() {
    for (v1::SelectFrame& frame : *response_.mutable_frames()) {
      const size_t selector = frame.selector();
      if (selector < reading_ || selector >= queues_.size()) {
        return End(node_->Named(DataLoss("a frame of selector ", selector, " after ", reading_)));
      }
      reading_ = selector;
      Queue& queue = queues_[selector];
      if (queue.abandoned) continue;
      buffered_bytes_ += frame.series().size();
      if (buffered_bytes_ > buffer_bytes_max_) {
        return End(node_->Named(ResourceExhausted("the query needs more than ", buffer_bytes_max_,
                                                  " bytes of series at once")));
      }
      queue.frames.push_back(std::move(*frame.mutable_series()));
    }
  }

  // Constant after construction.
  const std::shared_ptr<Node> node_;
  const storage::SelectOptions options_;
  const uint64_t buffer_bytes_max_;

  std::optional<ReadCall> call_;
  v1::ReadResponse response_;
  std::string space_;
  storage::DataChanges changes_;
  std::vector<Queue> queues_;
  uint64_t buffered_bytes_ = 0;
  size_t reading_ = 0;  // The selector of the last frame; those before it are complete.
  bool ended_ = false;
  absl::Status status_;
};

// One selector's series out of the shared stream.
class RemoteQuerier::Set : public storage::SeriesSet {
 public:
  Set(std::shared_ptr<Stream> stream, size_t selector, Timestamp min_time, Timestamp max_time)
      : stream_(std::move(stream)), selector_(selector), min_time_(min_time), max_time_(max_time) {}
  ~Set() override { stream_->Abandon(selector_); }

  bool Next() override {
    if (!status_.ok()) return false;
    while (true) {
      if (reader_.has_value() && reader_->Next()) {
        ++position_;
        return true;
      }
      if (!OpenFrame()) return false;
    }
  }

  const Labels& labels() const override { return frame_labels_[position_]; }

  absl::Status ReadSamples(SampleBuffer* out) override {
    switch (reader_->kind()) {
      case SelectFrameReader::Kind::kLabelsOnly:
        return absl::OkStatus();
      case SelectFrameReader::Kind::kSamples:
        for (size_t i = 0; i < reader_->timestamps().size(); ++i) {
          const Timestamp timestamp = reader_->timestamps()[i];
          if (timestamp < min_time_ || timestamp > max_time_) continue;
          out->Append(timestamp, reader_->values()[i]);
        }
        return absl::OkStatus();
      case SelectFrameReader::Kind::kChunks:
        break;
    }
    return stream_->Named(storage::ReadChunkSamples(reader_->chunks(), reader_->deleted(),
                                                    min_time_, max_time_, out));
  }

  absl::Status status() const override { return status_; }

 private:
  // Takes the next frame and finds the labels of all its series at once. False at the end or on an
  // error.
  bool OpenFrame() {
    reader_.reset();
    std::optional<std::string> frame = stream_->NextFrame(selector_);
    if (!frame.has_value()) {
      status_ = stream_->status();
      return false;
    }
    frame_ = *std::move(frame);
    frame_labels_.clear();
    std::vector<uint64_t> ids;
    SelectFrameReader scan(frame_);
    while (scan.Next()) {
      ids.push_back(scan.id());
      frame_labels_.push_back(scan.id() == 0 ? Labels::FromSorted(scan.labels()) : Labels());
    }
    status_ = scan.status().ok() ? stream_->Resolve(ids, &frame_labels_)
                                 : stream_->Named(DataLoss(Message(scan.status())));
    if (!status_.ok()) return false;
    reader_.emplace(frame_);
    position_ = static_cast<size_t>(-1);
    return true;
  }

  // Constant after construction.
  const std::shared_ptr<Stream> stream_;
  const size_t selector_;
  const Timestamp min_time_;
  const Timestamp max_time_;

  // The present frame; reader_ views it.
  std::string frame_;
  std::vector<Labels> frame_labels_;
  std::optional<SelectFrameReader> reader_;
  size_t position_ = 0;  // Of the present series in frame_labels_.
  absl::Status status_;
};

RemoteQuerier::RemoteQuerier(RemoteQuerierOptions options)
    : node_(std::make_shared<Node>(std::move(options))) {}

RemoteQuerier::~RemoteQuerier() = default;

absl::StatusOr<storage::SelectResult> RemoteQuerier::Select(
    std::span<const storage::Selector> selectors, const storage::SelectOptions& options) {
  storage::SelectResult result;
  if (selectors.empty()) return result;
  const auto stream = std::make_shared<Stream>(node_, selectors.size(), options);
  NARTHEX_RETURN_IF_ERROR(stream->Open(selectors));
  result.changes = stream->changes();
  for (size_t i = 0; i < selectors.size(); ++i) {
    result.sets.push_back(
        std::make_unique<Set>(stream, i, selectors[i].hints.start, selectors[i].hints.end));
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> RemoteQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time) {
  v1::ReadRequest question;
  v1::LabelNamesRequest& request = *question.mutable_label_names();
  FillMatcherSets(matcher_sets, request.mutable_matcher_sets());
  request.set_min_time_ms(min_time);
  request.set_max_time_ms(max_time);
  return node_->AskStrings(std::move(question));
}

absl::StatusOr<std::vector<std::string>> RemoteQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) {
  v1::ReadRequest question;
  v1::LabelValuesRequest& request = *question.mutable_label_values();
  request.set_name(name.data(), name.size());
  FillMatcherSets(matcher_sets, request.mutable_matcher_sets());
  request.set_min_time_ms(min_time);
  request.set_max_time_ms(max_time);
  return node_->AskStrings(std::move(question));
}

absl::StatusOr<storage::DataChanges> RemoteQuerier::Changes(std::string_view known_revision) {
  v1::ReadRequest question;
  question.mutable_changes()->set_known_revision(known_revision.data(), known_revision.size());
  storage::DataChanges changes;
  absl::Status header;
  NARTHEX_RETURN_IF_ERROR(node_->Ask(std::move(question), [&](v1::ReadResponse* response) {
    changes = FromProto(response->header().changes());
    header = node_->TakeHeader(response->header());
  }));
  NARTHEX_RETURN_IF_ERROR(header);
  return changes;
}

absl::StatusOr<Labels> RemoteQuerier::ExternalLabels() {
  std::optional<Labels> known = node_->external_labels();
  if (!known.has_value()) {
    NARTHEX_RETURN_IF_ERROR(Changes("").status());
    known = node_->external_labels();
  }
  return known.value_or(Labels());
}

absl::Status RemoteQuerier::Reload() {
  v1::ReloadResponse response;
  return node_->Call(&v1::Storage::Stub::Reload, v1::ReloadRequest(), &response);
}

const std::string& RemoteQuerier::endpoint() const { return node_->options().endpoint; }

size_t RemoteQuerier::cached_labels() const { return node_->cache().size(); }

}  // namespace narthex::rpc
