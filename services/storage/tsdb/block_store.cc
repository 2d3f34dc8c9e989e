#include "services/storage/tsdb/block_store.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/block_writer.h"
#include "services/storage/tsdb/ulid.h"

namespace narthex::tsdb {
namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// What another program than ours may have left as well: upstream's names, and those of its older
// releases.
bool IsLeftover(std::string_view name) {
  for (const std::string_view suffix :
       {kCreationSuffix, kDeletionSuffix, std::string_view(".tmp")}) {
    if (EndsWith(name, suffix) &&
        Ulid::Parse(name.substr(0, name.size() - suffix.size())).has_value()) {
      return true;
    }
  }
  return false;
}

}  // namespace

BlockStore::BlockStore(io::FileSystem* fs, std::string directory, Logger logger)
    : fs_(fs),
      directory_(std::move(directory)),
      logger_(std::move(logger)),
      list_(std::make_shared<BlockList>()) {}

absl::Status BlockStore::RemoveLeftovers() {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(directory_));
  for (const std::string& name : names) {
    if (!IsLeftover(name)) continue;
    logger_.Info("removing what a broken-off compaction or deletion left", {{"directory", name}});
    NARTHEX_RETURN_IF_ERROR(fs_->RemoveAll(io::JoinPath(directory_, name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, BlockStore::Candidate>> BlockStore::OpenAll(Changes* changes) {
  std::map<std::string, std::shared_ptr<Block>> open;
  const std::shared_ptr<const BlockList> before = list();
  for (const std::shared_ptr<Block>& block : *before) open[block->meta().ulid] = block;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(directory_));
  std::map<std::string, Candidate> found;
  for (const std::string& name : names) {
    if (!Ulid::Parse(name).has_value()) continue;
    if (const auto known = open.find(name); known != open.end()) {
      found[name].block = known->second;
      open.erase(known);
      continue;
    }
    const std::string path = io::JoinPath(directory_, name);
    absl::StatusOr<std::shared_ptr<Block>> block = Block::Open(fs_, path);
    if (!block.ok()) {
      changes->failed.emplace(name, block.status());
      continue;
    }
    found[name] = {*std::move(block), true};
  }
  for (const auto& [name, block] : open) {
    changes->oldest_change = std::min(changes->oldest_change, block->meta().min_time);
  }
  return found;
}

absl::StatusOr<BlockStore::Changes> BlockStore::Reload(const RetentionLimits& limits,
                                                       uint64_t other_bytes) {
  Changes changes;
  using Candidates = std::map<std::string, Candidate>;
  NARTHEX_ASSIGN_OR_RETURN(Candidates found, OpenAll(&changes));
  std::set<std::string> gone;
  for (const auto& [name, candidate] : found) {
    const BlockMeta& meta = candidate.block->meta();
    if (meta.compaction.deletable) gone.insert(name);
    for (const BlockParent& parent : meta.compaction.parents) {
      // Its samples are in this one, even if it cannot be opened.
      if (found.count(parent.ulid) > 0 || changes.failed.count(parent.ulid) > 0) {
        gone.insert(parent.ulid);
      }
      changes.failed.erase(parent.ulid);
    }
    if (candidate.fresh) {
      ++changes.loaded;
      if (name == own_) continue;
      changes.oldest_change = std::min(changes.oldest_change, meta.min_time);
    }
  }
  // The retention judges what is left of that.
  std::vector<RetentionBlock> judged;
  std::vector<std::string> judged_names;
  for (const auto& [name, candidate] : found) {
    if (gone.count(name) > 0) continue;
    judged.push_back({candidate.block->meta().max_time, candidate.block->size_bytes()});
    judged_names.push_back(name);
  }
  const RetentionVerdict verdict = JudgeRetention(judged, other_bytes, limits);
  const auto drop = [&](size_t place, auto* count) {
    if (!gone.insert(judged_names[place]).second) return;
    ++*count;
    const BlockMeta& meta = found[judged_names[place]].block->meta();
    changes.oldest_change = std::min(changes.oldest_change, meta.min_time);
  };
  for (const size_t place : verdict.too_old) drop(place, &changes.too_old);
  for (const size_t place : verdict.too_much) drop(place, &changes.too_much);
  BlockList list;
  for (auto& [name, candidate] : found) {
    if (gone.count(name) == 0) list.push_back(std::move(candidate.block));
  }
  Publish(std::move(list));

  for (const auto& [name, status] : changes.failed) {
    if (failed_.count(name) > 0) continue;
    logger_.Error("a block cannot be opened; it is left as it is, and its samples are missing",
                  {{"block", name}, {"err", status}});
  }
  failed_ = changes.failed;
  absl::Status removed;
  for (const std::string& name : gone) {
    const absl::Status status = RemoveBlock(fs_, io::JoinPath(directory_, name));
    if (status.ok()) {
      ++changes.removed;
    } else {
      removed = status;
    }
  }
  if (!removed.ok()) return Annotate(removed, "remove a block");
  return changes;
}

absl::Status BlockStore::Remove(const std::vector<std::string>& ulids) {
  const auto goes = [&ulids](const std::shared_ptr<Block>& block) {
    return std::find(ulids.begin(), ulids.end(), block->meta().ulid) != ulids.end();
  };
  BlockList kept;
  std::vector<std::string> directories;
  const std::shared_ptr<const BlockList> before = list();
  for (const std::shared_ptr<Block>& block : *before) {
    if (goes(block)) {
      directories.push_back(block->directory());
    } else {
      kept.push_back(block);
    }
  }
  Publish(std::move(kept));
  for (const std::string& directory : directories) {
    NARTHEX_RETURN_IF_ERROR(RemoveBlock(fs_, directory));
  }
  return absl::OkStatus();
}

void BlockStore::Publish(BlockList list) {
  std::sort(list.begin(), list.end(),
            [](const std::shared_ptr<Block>& a, const std::shared_ptr<Block>& b) {
              const BlockMeta& left = a->meta();
              const BlockMeta& right = b->meta();
              if (left.min_time != right.min_time) return left.min_time < right.min_time;
              return left.ulid < right.ulid;
            });
  auto published = std::make_shared<const BlockList>(std::move(list));
  MutexLock lock(&mu_);
  list_.swap(published);
}

BlockListPtr BlockStore::list() const {
  MutexLock lock(&mu_);
  return {list_};
}

uint64_t BlockStore::size_bytes() const {
  uint64_t bytes = 0;
  const std::shared_ptr<const BlockList> blocks = list();
  for (const std::shared_ptr<Block>& block : *blocks) bytes += block->size_bytes();
  return bytes;
}

Timestamp BlockStore::in_order_end() const {
  Timestamp end = kMinTimestamp;
  const std::shared_ptr<const BlockList> blocks = list();
  for (const std::shared_ptr<Block>& block : *blocks) {
    if (!IsPartial(block->meta())) end = std::max(end, block->meta().max_time);
  }
  return end;
}

}  // namespace narthex::tsdb
