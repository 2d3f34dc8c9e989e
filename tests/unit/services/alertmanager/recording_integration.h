#ifndef NARTHEX_TESTS_UNIT_SERVICES_ALERTMANAGER_RECORDING_INTEGRATION_H_
#define NARTHEX_TESTS_UNIT_SERVICES_ALERTMANAGER_RECORDING_INTEGRATION_H_

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "services/alertmanager/notify/integration.h"
#include "tests/support/fake_clock.h"

namespace narthex::notify {

// An integration that keeps what it is told, with the time since it was made, and answers what
// a test put in: success, a failure, or nothing until the test says so. Not thread-safe: for tests
// in one thread.
class RecordingIntegration : public Integration {
 public:
  struct Call {
    absl::Duration at;
    Reason reason;
    std::vector<std::string> firing;  // Values of the label "id", sorted as notified.
    std::vector<std::string> resolved;
  };

  explicit RecordingIntegration(FakeClock* clock) : clock_(clock), start_(clock->Now()) {}

  void Notify(const Notification&, Reason reason, const std::vector<alerts::AlertPtr>& alerts,
              std::function<void(Outcome)> done) override {
    Call call = {clock_->Now() - start_, reason, {}, {}};
    for (const alerts::AlertPtr& alert : alerts) {
      (IsFiring(*alert) ? call.firing : call.resolved).emplace_back(alert->labels.Get("id"));
    }
    calls.push_back(std::move(call));
    if (held) {
      waiting.push_back(std::move(done));
      return;
    }
    Outcome outcome;
    if (!outcomes.empty()) {
      outcome = outcomes.front();
      if (outcomes.size() > 1) outcomes.pop_front();
    }
    done(outcome);
  }

  // "12: first notification +a +b -c"
  std::vector<std::string> Texts() const {
    std::vector<std::string> texts;
    for (const Call& call : calls) {
      std::string text = StrCat(absl::ToDoubleSeconds(call.at), ": ", ReasonText(call.reason));
      for (const std::string& id : call.firing) StrAppend(&text, " +", id);
      for (const std::string& id : call.resolved) StrAppend(&text, " -", id);
      texts.push_back(std::move(text));
    }
    return texts;
  }

  std::vector<Call> calls;
  // The answers in order; the last one stays. Empty: success.
  std::deque<Outcome> outcomes;
  bool held = false;
  std::vector<std::function<void(Outcome)>> waiting;

 private:
  FakeClock* const clock_;
  const absl::Time start_;
};

inline Outcome Retriable(std::string_view message) {
  return {Unavailable(message), true, Failure::kServerError};
}
inline Outcome Permanent(std::string_view message) {
  return {InvalidArgument(message), false, Failure::kClientError};
}

}  // namespace narthex::notify

#endif  // NARTHEX_TESTS_UNIT_SERVICES_ALERTMANAGER_RECORDING_INTEGRATION_H_
