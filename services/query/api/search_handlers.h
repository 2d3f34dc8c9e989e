#ifndef NARTHEX_SERVICES_QUERY_API_SEARCH_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_SEARCH_HANDLERS_H_

#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "lib/storage/fanout_querier.h"
#include "services/query/api/envelope.h"
#include "services/query/api/target_handlers.h"

namespace narthex::query_api {

// search/metric_names, search/label_names, search/label_values (upstream's experimental
// search-api): names and values for editors that complete while somebody types. The answer is lines
// of JSON,
// {"results":[…]} by batches and then {"status":"success","has_more":…}.
//
// Thread safety: all methods may be called from any thread.
class SearchHandlers {
 public:
  struct Options {
    bool enabled = false;      // Else all of it is 500 "search API disabled".
    size_t limit_max = 10000;  // Of one answer; 0 is no bound.
  };
  // The pointees must outlive the handlers.
  SearchHandlers(storage::FanoutQuerier* querier, TargetHandlers* metadata, Clock* clock,
                 Options options)
      : querier_(querier), metadata_(metadata), clock_(clock), options_(options) {}

  http::ServerResponse MetricNames(const http::ServerRequest& request);
  http::ServerResponse LabelNames(const http::ServerRequest& request);
  http::ServerResponse LabelValues(const http::ServerRequest& request);

 private:
  enum class What { kMetricNames, kLabelNames, kLabelValues };
  http::ServerResponse Search(What what, const http::ServerRequest& request);

  storage::FanoutQuerier* const querier_;
  TargetHandlers* const metadata_;
  Clock* const clock_;
  const Options options_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_SEARCH_HANDLERS_H_
