#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_METADATA_CACHE_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_METADATA_CACHE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "lib/base/strings.h"
#include "lib/model/metadata.h"

namespace narthex::scrape {

// What one target says of its metric families. An entry stays for ten scrapes after its family
// disappeared. A target repeats the same lines in the same order, so the entry that followed last
// time is tried before the table. Thread safety: none.
class MetadataCache {
 public:
  void Begin() {
    ++round_;
    at_ = 0;
  }
  void SetType(std::string_view family, MetricType type) { Reach(family)->metadata.type = type; }
  void SetHelp(std::string_view family, std::string_view help) {
    Assign(&Reach(family)->metadata.help, help);
  }
  void SetUnit(std::string_view family, std::string_view unit) {
    Assign(&Reach(family)->metadata.unit, unit);
  }
  // Ends a good scrape: forgets what is long gone.
  void Commit();

  void ForEach(const std::function<void(const std::string&, const Metadata&)>& visit) const;
  // Null when the family is not known. Valid until the next change.
  const Metadata* Find(std::string_view family) const;
  size_t size() const { return by_family_.size(); }
  size_t bytes() const;

 private:
  struct Entry {
    std::string family;
    Metadata metadata;
    uint32_t seen = 0;  // Round.
  };

  static void Assign(std::string* to, std::string_view text) {
    if (*to != text) to->assign(text);
  }
  Entry* Reach(std::string_view family);

  uint32_t round_ = 0;
  std::deque<Entry> entries_;  // In order of arrival; addresses are stable.
  absl::flat_hash_map<std::string_view, size_t> by_family_;
  size_t at_ = 0;  // The entry reached last.
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_METADATA_CACHE_H_
