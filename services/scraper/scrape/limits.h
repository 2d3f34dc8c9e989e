#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_LIMITS_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_LIMITS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "lib/config/scrape_config.h"
#include "lib/labels/labels.h"

// What one scrape and one pool may bring. Pure functions, thread-safe; the texts are upstream's.
namespace narthex::scrape {

// label_limit, label_name_length_limit and label_value_length_limit, on the labels of one series
// after relabelling.
absl::Status CheckLabelLimits(const Labels& labels, const config::ScrapeLimits& limits);

// target_limit, on the active targets of a pool.
absl::Status CheckTargetLimit(size_t targets, const config::ScrapeLimits& limits);

absl::Status SampleLimitExceeded();

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_LIMITS_H_
