#ifndef NARTHEX_SERVICES_QUERY_API_FEDERATE_H_
#define NARTHEX_SERVICES_QUERY_API_FEDERATE_H_

#include <functional>

#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "lib/storage/storage.h"

namespace narthex::query_api {

// /federate: the newest sample of every series that some match[] selects, as text format with
// timestamps, for another Prometheus to scrape. External labels are added where a series lacks
// them.
//
// Thread safety: all methods may be called from any thread.
class FederateHandler {
 public:
  struct Options {
    absl::Duration lookback_delta = absl::Minutes(5);
    absl::Duration timeout = absl::Minutes(2);
    std::function<Labels()> external_labels;
  };
  // The pointees must outlive the handler.
  FederateHandler(storage::Querier* querier, Clock* clock, Options options)
      : querier_(querier), clock_(clock), options_(std::move(options)) {}

  http::ServerResponse Handle(const http::ServerRequest& request);

 private:
  storage::Querier* const querier_;
  Clock* const clock_;
  const Options options_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_FEDERATE_H_
