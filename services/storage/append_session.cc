#include "services/storage/append_session.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::storage_service {
namespace {

// Far above any scrape; a sender that goes on and on must not fill the memory.
constexpr size_t kBatchBytesMax = size_t{256} << 20;

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    hex.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return hex;
}

}  // namespace

AppendMetrics::AppendMetrics(metrics::Registry* registry)
    : bytes(registry->AddCounter("narthex_storage_append_bytes_total",
                                 "Bytes of packed batches received over Append.")),
      quarantined(registry->AddCounter("narthex_storage_quarantined_batches_total",
                                       "Batches that could not be decoded.")),
      streams(registry->AddGauge("narthex_storage_append_streams", "Open Append streams.")),
      appenders(registry->AddGauge("prometheus_tsdb_head_active_appenders",
                                   "Appenders at work: open Append streams.")) {}

AppendSession::AppendSession(tsdb::Db* db, tsdb::Sender* sender, const AppendMetrics* metrics,
                             Logger logger)
    : db_(db),
      sender_(sender),
      metrics_(metrics),
      logger_(std::move(logger)),
      appender_(&db->head()),
      accepted_(db->head().PositionOf(*sender).applied) {}

absl::Status AppendSession::OnFrame(uint64_t sequence, std::string_view columns, bool commit,
                                    AppendNews* news) {
  if (sequence == 0) return InvalidArgument("sequence 0 names no batch");
  metrics_->bytes->Increment(static_cast<double>(columns.size()));
  news->accepted_sequence = accepted_;
  if (refused_ != 0 && sequence != refused_) return absl::OkStatus();
  if (commit && pieces_sequence_ != sequence) {
    pieces_sequence_ = 0;
    return OnBatch(sequence, columns, news);
  }
  if (pieces_sequence_ != sequence) {
    // What there was of another batch is dropped: its sender began anew.
    pieces_sequence_ = sequence;
    pieces_.clear();
    pieces_too_long_ = false;
  }
  if (pieces_.size() + columns.size() > kBatchBytesMax) {
    pieces_too_long_ = true;
  } else {
    pieces_.append(columns);
  }
  if (!commit) return absl::OkStatus();
  pieces_sequence_ = 0;
  std::string whole;
  whole.swap(pieces_);  // Large ones are rare: their memory is not kept.
  if (pieces_too_long_) {
    return Quarantine(sequence, whole,
                      ResourceExhausted("the batch is longer than ", kBatchBytesMax, " bytes"),
                      news);
  }
  return OnBatch(sequence, whole, news);
}

absl::Status AppendSession::OnBatch(uint64_t sequence, std::string_view columns, AppendNews* news) {
  if (sequence > accepted_) {
    const absl::Status decoded = storage::DecodeAppendBatch(columns, &batch_);
    if (!decoded.ok()) return Quarantine(sequence, columns, decoded, news);
    NARTHEX_RETURN_IF_ERROR(appender_.Append(batch_, sender_, sequence, &result_));
    if (result_.outcome == tsdb::AppendResult::Outcome::kUnknownReferences) {
      refused_ = sequence;
      news->refused_sequence = sequence;
      news->unknown_references = result_.unknown_references;
      return absl::OkStatus();
    }
    for (size_t i = 0; i < result_.refused.size(); ++i) news->refused[i] += result_.refused[i];
    news->new_references.insert(news->new_references.end(), result_.new_references.begin(),
                                result_.new_references.end());
    accepted_ = sequence;
  }
  refused_ = 0;
  news->accepted_sequence = accepted_;
  return absl::OkStatus();
}

absl::Status AppendSession::Quarantine(uint64_t sequence, std::string_view columns,
                                       const absl::Status& cause, AppendNews* news) {
  metrics_->quarantined->Increment();
  const std::string name = StrCat("batch-", Hex(sender_->id), "-", sequence);
  const absl::Status kept = db_->Quarantine(name, columns);
  logger_.Error("a batch cannot be decoded and is passed over",
                {{"err", cause},
                 {"sequence", sequence},
                 {"bytes", columns.size()},
                 {"kept_in", kept.ok() ? name : StrCat("nothing: ", Message(kept))}});
  NARTHEX_RETURN_IF_ERROR(appender_.Skip(sender_, sequence));
  news->quarantined_sequences.push_back(sequence);
  accepted_ = std::max(accepted_, sequence);
  news->accepted_sequence = accepted_;
  refused_ = 0;
  return absl::OkStatus();
}

}  // namespace narthex::storage_service
