#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_TARGET_SET_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_TARGET_SET_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lib/config/scrape_config.h"
#include "lib/discovery/target_group.h"
#include "lib/labels/labels.h"
#include "services/scraper/scrape/target.h"

namespace narthex::scrape {

// What discovery found for one pool, after relabelling. Plain data.
struct TargetSet {
  std::vector<Target> active;   // Each identity once, in order of discovery.
  std::vector<Labels> dropped;  // The discovered labels of at most keep_dropped_targets of them.
  size_t dropped_count = 0;     // All of them.
  std::vector<std::string> errors;  // Of targets that cannot be scraped.
};

TargetSet MakeTargetSet(std::span<const discovery::TargetGroup> groups,
                        const config::ScrapeConfig& config);

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_TARGET_SET_H_
