// What an administrator asks of a Db: deletes, their clean-up, and snapshots.

#include <algorithm>
#include <random>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/delete.h"
#include "services/storage/tsdb/snapshot.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kSnapshotsDirectory = "snapshots";
// Of a snapshot that is being made.
constexpr std::string_view kUnfinished = ".tmp-for-creation";

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Counts itself among those who wait, until it has the lock.
class ABSL_SCOPED_LOCKABLE WaitingLock {
 public:
  WaitingLock(Mutex* mu, std::atomic<int>* waiting) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) {
    waiting->fetch_add(1, std::memory_order_relaxed);
    mu_->Lock();
    waiting->fetch_sub(1, std::memory_order_relaxed);
  }
  ~WaitingLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  WaitingLock(const WaitingLock&) = delete;
  WaitingLock& operator=(const WaitingLock&) = delete;

 private:
  Mutex* const mu_;
};

// Upstream's: the time and sixteen random digits.
std::string NewSnapshotName(absl::Time now) {
  std::random_device device;
  const uint64_t number = uint64_t{device()} << 32 | device();
  std::string name = StrCat(absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()), "-");
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) name.push_back(kDigits[number >> shift & 15]);
  return name;
}

}  // namespace

absl::Status Db::Delete(std::span<const Matcher> matchers, Timestamp min_time, Timestamp max_time) {
  NARTHEX_RETURN_IF_ERROR(CheckAppendable());
  const WaitingLock work(&work_mu_, &waiting_);
  // Intervals of the head hold for its chunks. Late samples go to blocks first: those that are
  // there must go, those that come later must not.
  if (!head_.ooo().empty()) {
    NARTHEX_RETURN_IF_ERROR(CompactOutOfOrderLocked({}));
  }
  const absl::StatusOr<size_t> deleted = head_.Delete(matchers, min_time, max_time);
  NARTHEX_RETURN_IF_ERROR(Annotate(deleted.status(), "delete from the head"));
  const std::shared_ptr<const BlockList> blocks = store_.list();
  const absl::Status status = DeleteFromBlocks(*blocks, matchers, min_time, max_time);
  // Also after an error: some may be gone.
  head_.NoteChange(min_time);
  return status;
}

absl::Status Db::CleanTombstones(const Pace& pace) {
  const WaitingLock work(&work_mu_, &waiting_);
  const absl::Duration start = clock_->Monotonic();
  const std::shared_ptr<const BlockList> blocks = store_.list();
  for (const std::shared_ptr<Block>& block : *blocks) {
    if (block->tombstones() == 0) continue;
    NARTHEX_ASSIGN_OR_RETURN(const BlockMeta meta, compactor_.Rewrite(options_.path, block, pace));
    if (meta.stats.series > 0) {
      NARTHEX_RETURN_IF_ERROR(PublishLocked(meta.ulid));
    } else {
      NARTHEX_RETURN_IF_ERROR(store_.Remove({block->meta().ulid}));
    }
  }
  if (options_.observer.tombstones_cleaned) {
    options_.observer.tombstones_cleaned(clock_->Monotonic() - start);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Db::Snapshot(std::string name, bool with_head, const Pace& pace) {
  NARTHEX_RETURN_IF_ERROR(CheckReady());
  if (name.empty()) name = NewSnapshotName(clock_->Now());
  if (name[0] == '.' || name.find('/') != std::string::npos || EndsWith(name, kUnfinished)) {
    return InvalidArgument("the name of a snapshot must be that of a directory: ", Quote(name));
  }
  const WaitingLock work(&work_mu_, &waiting_);
  const std::string parent = io::JoinPath(options_.path, kSnapshotsDirectory);
  const std::string directory = io::JoinPath(parent, name);
  const std::string unfinished = StrCat(directory, kUnfinished);
  if (fs_->Exists(directory)) return AlreadyExists("snapshot ", name, " exists");
  NARTHEX_RETURN_IF_ERROR(fs_->RemoveAll(unfinished));
  NARTHEX_RETURN_IF_ERROR(fs_->CreateDirectories(unfinished));
  absl::Cleanup remove = [&] { fs_->RemoveAll(unfinished).IgnoreError(); };
  const std::shared_ptr<const BlockList> blocks = store_.list();
  for (const std::shared_ptr<Block>& block : *blocks) {
    NARTHEX_RETURN_IF_ERROR(
        LinkBlock(fs_, block->directory(), io::JoinPath(unfinished, block->meta().ulid)));
    if (pace) {
      NARTHEX_RETURN_IF_ERROR(pace());
    }
  }
  if (with_head) {
    NARTHEX_RETURN_IF_ERROR(WriteHeadSnapshotLocked(unfinished, pace));
  }
  NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(unfinished));
  NARTHEX_RETURN_IF_ERROR(fs_->Rename(unfinished, directory));
  std::move(remove).Cancel();
  NARTHEX_RETURN_IF_ERROR(fs_->SyncDirectory(parent));
  logger_.Info("snapshot made", {{"name", name}, {"blocks", blocks->size()}});
  return name;
}

absl::Status Db::WriteHeadSnapshotLocked(const std::string& directory, const Pace& pace) {
  Timestamp min_time = head_.min_time();
  Timestamp max_time = head_.max_time();
  OooHead::Frozen late;
  if (!head_.ooo().empty()) {
    NARTHEX_ASSIGN_OR_RETURN(late, head_.FreezeOutOfOrder());
    min_time = std::min(min_time, late.min_time);
    max_time = std::max(max_time, late.max_time);
  }
  if (min_time > max_time) return absl::OkStatus();
  BlockMeta base;
  base.min_time = min_time;
  base.max_time = max_time + 1;
  Compactor::Sources sources;
  sources.push_back(head_.Source(min_time, max_time));
  if (!late.empty()) sources.push_back(head_.ooo().Source(late, min_time, max_time, nullptr));
  return compactor_.Write(directory, std::move(sources), std::move(base), pace).status();
}

absl::Status Db::RemoveSnapshotLeftovers() {
  const std::string parent = io::JoinPath(options_.path, kSnapshotsDirectory);
  if (!fs_->Exists(parent)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(parent));
  for (const std::string& name : names) {
    if (!EndsWith(name, kUnfinished)) continue;
    logger_.Info("removing an unfinished snapshot", {{"name", name}});
    NARTHEX_RETURN_IF_ERROR(fs_->RemoveAll(io::JoinPath(parent, name)));
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
