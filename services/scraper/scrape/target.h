#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_TARGET_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_TARGET_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/config/scrape_config.h"
#include "lib/labels/labels.h"

namespace narthex::scrape {

// What is to be scraped and how, after relabelling. Plain data.
struct Target {
  Labels discovered;  // Before relabelling, as /api/v1/targets shows it.
  Labels labels;      // What every series of the target carries.
  std::string url;    // With the query of `params`.
  absl::Duration interval;
  absl::Duration timeout;

  // Two targets with equal identity are one: the same labels at the same URL.
  struct Identity {
    Labels labels;
    std::string url;
    friend bool operator==(const Identity&, const Identity&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Identity& identity) {
      return H::combine(std::move(h), identity.labels, identity.url);
    }
  };
  Identity identity() const { return {labels, url}; }
  // Where in its interval the target is scraped. Stable over restarts; `seed` tells apart scrapers
  // that scrape the same targets.
  uint64_t OffsetHash(uint64_t seed) const;
  friend bool operator==(const Target&, const Target&) = default;
};

// The labels of a discovered target before relabelling: its own, its group's, and job, __scheme__,
// __metrics_path__,
// __scrape_interval__, __scrape_timeout__ and __param_<name> of the job where it has none.
Labels DiscoveredLabels(const Labels& target, const Labels& group,
                        const config::ScrapeConfig& config);

// Relabels and checks. Nothing when the target is dropped; InvalidArgument in upstream's words when
// it cannot be scraped ("no address", a bad interval).
absl::StatusOr<std::optional<Target>> MakeTarget(const Labels& discovered,
                                                 const config::ScrapeConfig& config);

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_TARGET_H_
