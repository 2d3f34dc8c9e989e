#include "services/pushgateway/persister.h"

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/pushgateway/snapshot.h"

namespace narthex::pushgateway {

Persister::Persister(Options options, MetricStore* store, io::FileSystem* file_system, Clock* clock,
                     Logger logger, metrics::Registry* registry)
    : options_(std::move(options)),
      store_(store),
      file_system_(file_system),
      clock_(clock),
      logger_(std::move(logger)),
      failures_(registry->AddCounter("pushgateway_persist_failures_total",
                                     "Writes of the persistence file that failed.")),
      last_success_(registry->AddGauge("pushgateway_persist_last_success_timestamp_seconds",
                                       "When the persistence file was last written; 0 before.")),
      file_bytes_(registry->AddGauge("pushgateway_persist_file_bytes",
                                     "Size of the persistence file as it was last written.")) {}

Persister::~Persister() { Stop(); }

absl::Status Persister::Restore() {
  if (options_.path.empty()) return absl::OkStatus();
  const auto annotate = [this](const absl::Status& status) {
    return Annotate(status, StrCat("--persistence.file ", options_.path));
  };
  if (file_system_->Exists(options_.path)) {
    absl::StatusOr<std::string> bytes = file_system_->ReadFile(options_.path);
    if (!bytes.ok()) return annotate(bytes.status());
    absl::StatusOr<std::vector<Group>> groups = DecodeSnapshot(*bytes);
    if (!groups.ok()) {
      return DataLoss("--persistence.file ", options_.path,
                      " is damaged: ", Message(groups.status()),
                      "; move it away to start without it");
    }
    store_->Restore(*std::move(groups));
  }
  // A file that cannot be written is better known now than after the first interval.
  return annotate(Write(store_->version()));
}

void Persister::Start() {
  if (!options_.path.empty()) thread_ = Thread("persister", [this] { Run(); });
}

void Persister::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.SignalAll();
  }
  if (!thread_.joinable()) return;
  thread_.Join();
  PersistIfChanged();
}

void Persister::Run() {
  absl::Time due = clock_->Now() + options_.interval;
  MutexLock lock(&mu_);
  while (!stopping_) {
    clock_->WaitUntil(&mu_, &wake_, due);
    if (stopping_ || clock_->Now() < due) continue;
    mu_.Unlock();
    PersistIfChanged();
    mu_.Lock();
    due = clock_->Now() + options_.interval;
  }
}

void Persister::PersistIfChanged() {
  const uint64_t version = store_->version();
  if (version == persisted_version_) return;
  const absl::Status status = Write(version);
  if (status.ok()) return;
  failures_->Increment();
  logger_.Error("could not write the persistence file", {{"file", options_.path}, {"err", status}});
}

absl::Status Persister::Write(uint64_t version) {
  const std::string bytes = EncodeSnapshot(store_->Groups());
  NARTHEX_RETURN_IF_ERROR(file_system_->WriteFileAtomically(options_.path, bytes));
  persisted_version_ = version;
  last_success_->Set(absl::ToDoubleSeconds(clock_->Now() - absl::UnixEpoch()));
  file_bytes_->Set(static_cast<double>(bytes.size()));
  return absl::OkStatus();
}

}  // namespace narthex::pushgateway
