#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_BATCH_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_BATCH_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/config/scrape_config.h"
#include "lib/labels/labels.h"
#include "lib/labels/labels_builder.h"
#include "lib/storage/numbered_batch.h"
#include "lib/textparse/parser.h"
#include "services/scraper/scrape/metadata_cache.h"
#include "services/scraper/scrape/scrape_cache.h"

namespace narthex::scrape {

// What a body held. After an error: what it held up to there, which is what upstream reports.
struct BodyCounts {
  uint64_t samples = 0;  // Sample lines.
  uint64_t after_relabelling = 0;
  uint64_t series_added = 0;   // That the cache did not know.
  uint64_t duplicates = 0;     // A second sample of one series; the first is kept.
  uint64_t out_of_bounds = 0;  // Too far in the future; dropped.
  bool label_limit_exceeded = false;
  bool sample_limit_exceeded = false;
};

// Turns bodies of one target into columns: looks each line up in the cache, and makes series of new
// text: target labels and honor_labels, metric relabelling, validity, limits. Thread safety: none.
class BodyReader {
 public:
  // All must outlive the reader. The caches' Begin(), Commit() and Abort() are the caller's.
  BodyReader(const config::ScrapeConfig* config, const Labels* target, ScrapeCache* cache,
             MetadataCache* metadata, storage::BatchSink* sink)
      : config_(config), target_(target), cache_(cache), metadata_(metadata), sink_(sink) {}

  // Adds the samples to `batch`, whose base_timestamp is the scrape's. After an error the batch
  // holds a part and must be dropped: the parser's, "sample limit exceeded", a label limit's, or a
  // series without a valid name.
  absl::Status Read(textparse::Parser* parser, storage::NumberedBatch* batch, BodyCounts* counts);

 private:
  void AddSample(const textparse::Entry& entry, ScrapeCache::SeriesId series,
                 storage::NumberedBatch* batch, BodyCounts* counts);
  absl::StatusOr<ScrapeCache::Found> Learn(const textparse::Entry& entry, textparse::Parser* parser,
                                           BodyCounts* counts);
  // The final labels of an exposed series; empty when relabelling drops it.
  absl::StatusOr<Labels> MakeLabels(const textparse::Entry& entry, textparse::Parser* parser,
                                    BodyCounts* counts);
  void MergeTargetLabels(const Labels& exposed, const textparse::Parser& parser);

  const config::ScrapeConfig* const config_;
  const Labels* const target_;
  ScrapeCache* const cache_;
  MetadataCache* const metadata_;
  storage::BatchSink* const sink_;
  LabelsBuilder builder_;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_BATCH_H_
