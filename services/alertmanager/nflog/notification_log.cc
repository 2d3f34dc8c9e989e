#include "services/alertmanager/nflog/notification_log.h"

#include <algorithm>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/alertmanager/snapshot/protobuf.h"

namespace narthex::nflog {
namespace {

// Field numbers of upstream's MeshEntry, Entry and Receiver.
constexpr uint32_t kMeshEntry = 1;
constexpr uint32_t kMeshExpiresAt = 2;
constexpr uint32_t kGroupKey = 1;
constexpr uint32_t kReceiver = 2;
constexpr uint32_t kTimestamp = 5;
constexpr uint32_t kFiringAlerts = 6;
constexpr uint32_t kResolvedAlerts = 7;
constexpr uint32_t kReceiverGroupName = 1;
constexpr uint32_t kReceiverIntegration = 2;
constexpr uint32_t kReceiverIndex = 3;

std::string StateKey(std::string_view group_key, const ReceiverKey& receiver) {
  return StrCat(group_key, ":", receiver.group_name, "/", receiver.integration, "/",
                receiver.index);
}

std::string PackHashes(const std::vector<uint64_t>& hashes) {
  std::string packed;
  for (const uint64_t hash : hashes) AppendUvarint(&packed, hash);
  return packed;
}

// Packed, or one field each: readers of protocol buffers take both.
bool ReadHashes(const snapshot::MessageReader& reader, std::vector<uint64_t>* hashes) {
  if (reader.bytes().empty()) {
    hashes->push_back(reader.varint());
    return true;
  }
  ByteReader packed(reader.bytes());
  while (packed.remaining() > 0) {
    uint64_t hash = 0;
    if (!packed.ReadUvarint(&hash)) return false;
    hashes->push_back(hash);
  }
  return true;
}

bool DecodeReceiver(std::string_view bytes, ReceiverKey* receiver) {
  snapshot::MessageReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == kReceiverGroupName) receiver->group_name = reader.bytes();
    if (reader.field() == kReceiverIntegration) receiver->integration = reader.bytes();
    if (reader.field() == kReceiverIndex) receiver->index = static_cast<uint32_t>(reader.varint());
  }
  return reader.ok();
}

bool DecodeEntryFields(std::string_view bytes, Entry* entry) {
  snapshot::MessageReader reader(bytes);
  while (reader.Next()) {
    bool ok = true;
    if (reader.field() == kGroupKey) entry->group_key = reader.bytes();
    if (reader.field() == kReceiver) ok = DecodeReceiver(reader.bytes(), &entry->receiver);
    if (reader.field() == kTimestamp) entry->timestamp = reader.time();
    if (reader.field() == kFiringAlerts) ok = ReadHashes(reader, &entry->firing_alerts);
    if (reader.field() == kResolvedAlerts) ok = ReadHashes(reader, &entry->resolved_alerts);
    if (!ok) return false;
  }
  std::sort(entry->firing_alerts.begin(), entry->firing_alerts.end());
  std::sort(entry->resolved_alerts.begin(), entry->resolved_alerts.end());
  return reader.ok();
}

}  // namespace

std::string EncodeEntry(const Entry& entry, absl::Time expires_at) {
  snapshot::MessageWriter receiver;
  receiver.Bytes(kReceiverGroupName, entry.receiver.group_name);
  receiver.Bytes(kReceiverIntegration, entry.receiver.integration);
  receiver.Varint(kReceiverIndex, entry.receiver.index);
  snapshot::MessageWriter fields;
  fields.Bytes(kGroupKey, entry.group_key);
  fields.Message(kReceiver, receiver.bytes());
  fields.Time(kTimestamp, entry.timestamp);
  fields.Bytes(kFiringAlerts, PackHashes(entry.firing_alerts));
  fields.Bytes(kResolvedAlerts, PackHashes(entry.resolved_alerts));
  snapshot::MessageWriter mesh;
  mesh.Message(kMeshEntry, fields.bytes());
  mesh.Time(kMeshExpiresAt, expires_at);
  return mesh.bytes();
}

std::optional<Entry> DecodeEntry(std::string_view record, absl::Time* expires_at) {
  Entry entry;
  bool has_entry = false;
  snapshot::MessageReader reader(record);
  while (reader.Next()) {
    if (reader.field() == kMeshEntry) {
      has_entry = true;
      if (!DecodeEntryFields(reader.bytes(), &entry)) return std::nullopt;
    }
    if (reader.field() == kMeshExpiresAt) *expires_at = reader.time();
  }
  // Upstream refuses an entry without a receiver too.
  if (!reader.ok() || !has_entry || entry.receiver.integration.empty()) return std::nullopt;
  return entry;
}

NotificationLog::NotificationLog(const NotificationLogOptions& options, Clock* clock,
                                 metrics::Registry* registry)
    : options_(options),
      clock_(clock),
      queries_(registry->AddCounter("alertmanager_nflog_queries_total",
                                    "Number of notification log queries were received.")),
      maintenances_(
          registry->AddCounter("alertmanager_nflog_maintenance_total",
                               "How many maintenances were executed for the notification log.")),
      maintenance_errors_(registry->AddCounter(
          "alertmanager_nflog_maintenance_errors_total",
          "How many maintenances were executed for the notification log that failed.")),
      snapshot_size_(registry->AddGauge("alertmanager_nflog_snapshot_size_bytes",
                                        "Size of the last notification log snapshot in bytes.")) {}

absl::StatusOr<std::unique_ptr<NotificationLog>> NotificationLog::Open(
    const NotificationLogOptions& options, io::FileSystem* file_system, Clock* clock, Logger logger,
    metrics::Registry* registry) {
  std::unique_ptr<NotificationLog> log(new NotificationLog(options, clock, registry));
  if (options.path.empty()) return log;
  MutexLock lock(&log->mu_);
  const auto take = [&](std::string_view record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    absl::Time expires_at = absl::InfiniteFuture();
    std::optional<Entry> entry = DecodeEntry(record, &expires_at);
    if (!entry.has_value()) return false;
    const std::string key = StateKey(entry->group_key, entry->receiver);
    log->entries_[key] = {*std::move(entry), expires_at};
    return true;
  };
  NARTHEX_ASSIGN_OR_RETURN(log->file_,
                           snapshot::RecordFile::Open(file_system, options.path, logger, take));
  log->snapshot_size_->Set(static_cast<double>(log->file_->size_bytes()));
  return log;
}

absl::Status NotificationLog::Log(Entry entry, absl::Duration expiry) {
  const absl::Time now = clock_->Now();
  entry.timestamp = now;
  const absl::Duration kept =
      expiry > absl::ZeroDuration() ? std::min(expiry, options_.retention) : options_.retention;
  const std::string key = StateKey(entry.group_key, entry.receiver);
  MutexLock lock(&mu_);
  const auto found = entries_.find(key);
  // A clock that was set back must not replace what is newer.
  if (found != entries_.end() && found->second.entry.timestamp > now) return absl::OkStatus();
  const Stored& stored = entries_[key] = {std::move(entry), now + kept};
  if (file_ == nullptr) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(file_->Append(EncodeEntry(stored.entry, stored.expires_at), false));
  return file_->worth_rewriting() ? MaintainLocked() : absl::OkStatus();
}

std::optional<Entry> NotificationLog::Query(const std::string& group_key,
                                            const ReceiverKey& receiver) {
  queries_->Increment();
  const std::string key = StateKey(group_key, receiver);
  MutexLock lock(&mu_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return found->second.entry;
}

absl::Status NotificationLog::MaintainLocked() {
  const absl::Time now = clock_->Now();
  std::erase_if(entries_, [now](const auto& item) { return item.second.expires_at <= now; });
  if (file_ == nullptr) return absl::OkStatus();
  std::vector<std::string> records;
  records.reserve(entries_.size());
  for (const auto& item : entries_) {
    records.push_back(EncodeEntry(item.second.entry, item.second.expires_at));
  }
  NARTHEX_RETURN_IF_ERROR(file_->Rewrite(records));
  snapshot_size_->Set(static_cast<double>(file_->size_bytes()));
  return absl::OkStatus();
}

absl::Status NotificationLog::Maintain() {
  maintenances_->Increment();
  MutexLock lock(&mu_);
  absl::Status status = MaintainLocked();
  if (!status.ok()) maintenance_errors_->Increment();
  return status;
}

size_t NotificationLog::size() const {
  MutexLock lock(&mu_);
  return entries_.size();
}

}  // namespace narthex::nflog
