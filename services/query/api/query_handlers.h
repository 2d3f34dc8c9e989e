#ifndef NARTHEX_SERVICES_QUERY_API_QUERY_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_QUERY_HANDLERS_H_

#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "lib/storage/storage.h"
#include "services/query/api/envelope.h"
#include "services/query/cache/result_cache.h"
#include "services/query/promql/engine.h"

namespace narthex::query_api {

// query, query_range, format_query, parse_query: what has a PromQL expression.
//
// Thread safety: all methods may be called from any thread; a query runs on its caller's.
class QueryHandlers {
 public:
  // Everything must outlive the handlers.
  QueryHandlers(promql::Engine* engine, query_cache::ResultCache* cache, storage::Querier* querier,
                Clock* clock)
      : engine_(engine), cache_(cache), querier_(querier), clock_(clock) {}

  Answer Instant(const http::ServerRequest& request);
  Answer Range(const http::ServerRequest& request);
  Answer Format(const http::ServerRequest& request);
  Answer Parse(const http::ServerRequest& request);

 private:
  promql::Engine* const engine_;
  query_cache::ResultCache* const cache_;
  storage::Querier* const querier_;
  Clock* const clock_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_QUERY_HANDLERS_H_
