#ifndef NARTHEX_SERVICES_QUERY_API_METADATA_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_METADATA_HANDLERS_H_

#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "lib/storage/fanout_querier.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// labels, label/<name>/values, series: what asks storage without an expression.
//
// Thread safety: all methods may be called from any thread.
class MetadataHandlers {
 public:
  // The pointees must outlive the handlers. `timeout` bounds each request to storage.
  MetadataHandlers(storage::FanoutQuerier* querier, Clock* clock, absl::Duration timeout)
      : querier_(querier), clock_(clock), timeout_(timeout) {}

  Answer LabelNames(const http::ServerRequest& request);
  Answer LabelValues(const http::ServerRequest& request);
  Answer Series(const http::ServerRequest& request);

 private:
  storage::FanoutQuerier* const querier_;
  Clock* const clock_;
  const absl::Duration timeout_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_METADATA_HANDLERS_H_
