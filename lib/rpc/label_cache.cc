#include "lib/rpc/label_cache.h"

#include "lib/base/check.h"

namespace narthex::rpc {
namespace {

// A hash table slot, the header of the shared block and two lengths a label, beside the strings
// themselves.
size_t EntryBytes(const Labels& labels) {
  size_t bytes = 64;
  for (const LabelView label : labels) bytes += 16 + label.name.size() + label.value.size();
  return bytes;
}

}  // namespace

void LabelCache::Find(std::string_view space, std::span<const uint64_t> ids,
                      std::vector<Labels>* labels, std::vector<size_t>* missing) {
  NARTHEX_CHECK(labels->size() == ids.size());
  MutexLock lock(&mu_);
  const bool known_space = space == space_;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == 0) continue;
    if (known_space) {
      if (const auto young = young_.find(ids[i]); young != young_.end()) {
        (*labels)[i] = young->second;
        continue;
      }
      if (const auto old = old_.find(ids[i]); old != old_.end()) {
        (*labels)[i] = old->second;
        InsertLocked(ids[i], (*labels)[i]);
        continue;
      }
    }
    missing->push_back(i);
  }
}

void LabelCache::Insert(std::string_view space, std::span<const uint64_t> ids,
                        std::span<const Labels> labels) {
  NARTHEX_CHECK(labels.size() == ids.size());
  MutexLock lock(&mu_);
  if (space != space_) {
    space_ = std::string(space);
    young_.clear();
    old_.clear();
    young_bytes_ = old_bytes_ = 0;
  }
  for (size_t i = 0; i < ids.size(); ++i) InsertLocked(ids[i], labels[i]);
}

void LabelCache::InsertLocked(uint64_t id, const Labels& labels) {
  if (!young_.try_emplace(id, labels).second) return;
  young_bytes_ += EntryBytes(labels);
  if (young_bytes_ < bytes_max_ / 2) return;
  old_ = std::move(young_);
  old_bytes_ = young_bytes_;
  young_.clear();
  young_bytes_ = 0;
}

size_t LabelCache::size() const {
  MutexLock lock(&mu_);
  return young_.size() + old_.size();
}

size_t LabelCache::bytes() const {
  MutexLock lock(&mu_);
  return young_bytes_ + old_bytes_;
}

}  // namespace narthex::rpc
