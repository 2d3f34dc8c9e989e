#include "services/scraper/scrape/metadata_cache.h"

#include <algorithm>
#include <utility>

namespace narthex::scrape {
namespace {

constexpr uint32_t kKeepRounds = 10;

}  // namespace

MetadataCache::Entry* MetadataCache::Reach(std::string_view family) {
  // HELP and TYPE of one family stand together, then comes the next one.
  for (size_t i = at_; i < std::min(at_ + 2, entries_.size()); ++i) {
    if (entries_[i].family == family) {
      at_ = i;
      entries_[i].seen = round_;
      return &entries_[i];
    }
  }
  const auto it = by_family_.find(family);
  if (it != by_family_.end()) {
    at_ = it->second;
  } else {
    at_ = entries_.size();
    entries_.push_back({std::string(family), Metadata(), round_});
    by_family_[entries_.back().family] = at_;
  }
  entries_[at_].seen = round_;
  return &entries_[at_];
}

void MetadataCache::Commit() {
  const auto gone = [this](const Entry& entry) { return round_ - entry.seen > kKeepRounds; };
  if (std::none_of(entries_.begin(), entries_.end(), gone)) return;
  std::deque<Entry> kept;
  by_family_.clear();
  for (Entry& entry : entries_) {
    if (gone(entry)) continue;
    kept.push_back(std::move(entry));
    by_family_[kept.back().family] = kept.size() - 1;
  }
  entries_ = std::move(kept);
}

void MetadataCache::ForEach(
    const std::function<void(const std::string&, const Metadata&)>& visit) const {
  for (const Entry& entry : entries_) visit(entry.family, entry.metadata);
}

const Metadata* MetadataCache::Find(std::string_view family) const {
  const auto it = by_family_.find(family);
  return it == by_family_.end() ? nullptr : &entries_[it->second].metadata;
}

size_t MetadataCache::bytes() const {
  size_t total = 0;
  for (const Entry& entry : entries_) {
    total += entry.family.size() + entry.metadata.help.size() + entry.metadata.unit.size();
  }
  return total;
}

}  // namespace narthex::scrape
