#ifndef NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_STORE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/retention.h"

namespace narthex::tsdb {

// The open blocks, by min_time. A snapshot: never changed once it is published.
using BlockList = std::vector<std::shared_ptr<Block>>;

// The blocks of one moment, which it keeps alive. A temporary cannot be dereferenced: a loop over
// what it leads to would outlive it.
class BlockListPtr {
 public:
  BlockListPtr(std::shared_ptr<const BlockList> list) : list_(std::move(list)) {}
  const BlockList& operator*() const& { return *list_; }
  const BlockList& operator*() && = delete;
  // Within one expression.
  const BlockList* operator->() const { return list_.get(); }
  operator std::shared_ptr<const BlockList>() const { return list_; }

 private:
  std::shared_ptr<const BlockList> list_;
};

// The blocks of a directory: which there are, which are served, and which go.
//
// A block goes when a block that is open names it as a parent, when its meta.json says deletable,
// or when the retention says so. It leaves the list first and the disk afterwards; readers that
// hold it go on. A block that cannot be opened stays on the disk and is tried again at each reload.
//
// Thread safety: list() and the numbers from any thread; everything else by one at a time.
class BlockStore {
 public:
  // `fs` must outlive the store.
  BlockStore(io::FileSystem* fs, std::string directory, Logger logger);

  // Removes what a broken-off creation or deletion of a block has left. At start, before Reload().
  absl::Status RemoveLeftovers();

  struct Changes {
    size_t loaded = 0;    // Opened for the first time.
    size_t removed = 0;   // From the disk.
    size_t too_old = 0;   // Of the removed ones: for their age.
    size_t too_much = 0;  // For the size of all.
    // Of blocks that others brought, and of those that vanished.
    Timestamp oldest_change = kMaxTimestamp;
    // Why blocks could not be opened, by directory.
    std::map<std::string, absl::Status> failed;
  };
  // Looks at the directory, publishes the new list, then removes what goes. `other_bytes` as in
  // JudgeRetention(). An error is of the directory itself or of a removal; the list is right even
  // so.
  absl::StatusOr<Changes> Reload(const RetentionLimits& limits, uint64_t other_bytes);
  // A block that we wrote ourselves: its samples are not new to anybody.
  void NoteOwn(const std::string& ulid) { own_ = ulid; }

  // Takes blocks away that have nothing left, list first.
  absl::Status Remove(const std::vector<std::string>& ulids);

  BlockListPtr list() const;
  uint64_t size_bytes() const;
  // The end (exclusive) of the newest block that has all samples of its range that came in order;
  // kMinTimestamp when there is none.
  Timestamp in_order_end() const;

 private:
  struct Candidate {
    std::shared_ptr<Block> block;
    bool fresh = false;
  };
  absl::StatusOr<std::map<std::string, Candidate>> OpenAll(Changes* changes);
  void Publish(BlockList list);

  // Constant after construction.
  io::FileSystem* const fs_;
  const std::string directory_;
  const Logger logger_;

  std::string own_;                             // The block that was written last.
  std::map<std::string, absl::Status> failed_;  // At the last reload; what is said once.

  mutable Mutex mu_;
  std::shared_ptr<const BlockList> list_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_BLOCK_STORE_H_
