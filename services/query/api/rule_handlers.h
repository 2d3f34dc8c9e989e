#ifndef NARTHEX_SERVICES_QUERY_API_RULE_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_RULE_HANDLERS_H_

#include "lib/http/message.h"
#include "services/query/api/envelope.h"
#include "services/query/notifier/notifier.h"
#include "services/query/rules/manager.h"

namespace narthex::query_api {

// rules, alerts, alertmanagers.
//
// Thread safety: all methods may be called from any thread.
class RuleHandlers {
 public:
  // The pointees must outlive the handlers.
  RuleHandlers(const rules::Manager* manager, const notifier::Notifier* notifier)
      : manager_(manager), notifier_(notifier) {}

  Answer Rules(const http::ServerRequest& request);
  Answer Alerts(const http::ServerRequest& request);
  Answer Alertmanagers(const http::ServerRequest& request);

 private:
  const rules::Manager* const manager_;
  const notifier::Notifier* const notifier_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_RULE_HANDLERS_H_
