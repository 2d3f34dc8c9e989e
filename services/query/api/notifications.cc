#include "services/query/api/notifications.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/value_writer.h"

namespace narthex::query_api {
namespace {

// How long a stream waits before it looks whether its client is still there.
constexpr absl::Duration kLookPause = absl::Milliseconds(500);
// What waits for a client that reads slowly; the oldest goes first.
constexpr size_t kPendingMax = 10;

}  // namespace

// One live stream. Guarded by the mutex of the Notifications.
struct Notifications::Subscriber {
  std::deque<std::string> pending;
};

Notifications::Notifications(Clock* clock, metrics::Registry* registry, size_t subscribers_max)
    : clock_(clock),
      subscribers_max_(subscribers_max),
      subscribers_count_(
          registry->AddGauge("prometheus_api_notification_active_subscribers",
                             "The current number of active notification subscribers.")),
      sent_(registry->AddCounter("prometheus_api_notification_updates_sent_total",
                                 "Total number of notification updates sent.")),
      dropped_(registry->AddCounter("prometheus_api_notification_updates_dropped_total",
                                    "Total number of notification updates dropped.")) {}

Notifications::~Notifications() {
  MutexLock lock(&mu_);
  NARTHEX_CHECK(subscribers_.empty());  // The HTTP server ends first.
}

std::string Notifications::ToJson(const Notification& notification) {
  std::string json;
  json::Writer writer(&json);
  writer.BeginObject();
  writer.Key("text");
  writer.String(notification.text);
  writer.Key("date");
  writer.String(FormatApiTime(notification.date));
  writer.Key("active");
  writer.Bool(notification.active);
  writer.EndObject();
  return json;
}

void Notifications::Tell(const Notification& notification) {
  for (Subscriber* const subscriber : subscribers_) {
    if (subscriber->pending.size() == kPendingMax) {
      subscriber->pending.pop_front();
      dropped_->Increment();
    }
    subscriber->pending.push_back(ToJson(notification));
    sent_->Increment();
  }
  changed_.SignalAll();
}

void Notifications::Add(std::string_view text) {
  MutexLock lock(&mu_);
  const auto found = std::find_if(active_.begin(), active_.end(),
                                  [text](const Notification& n) { return n.text == text; });
  if (found != active_.end()) {
    found->date = clock_->Now();
    return Tell(*found);
  }
  active_.push_back({std::string(text), clock_->Now(), true});
  Tell(active_.back());
}

void Notifications::Remove(std::string_view text) {
  MutexLock lock(&mu_);
  const auto found = std::find_if(active_.begin(), active_.end(),
                                  [text](const Notification& n) { return n.text == text; });
  if (found == active_.end()) return;
  Notification gone = std::move(*found);
  active_.erase(found);
  gone.active = false;
  gone.date = clock_->Now();
  Tell(gone);
}

void Notifications::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
  changed_.SignalAll();
}

Answer Notifications::List(const http::ServerRequest&) {
  Answer answer;
  json::Writer writer(&answer.data);
  MutexLock lock(&mu_);
  writer.BeginArray();
  for (const Notification& notification : active_) writer.Raw(ToJson(notification));
  writer.EndArray();
  return answer;
}

void Notifications::Leave(Subscriber* subscriber) {
  MutexLock lock(&mu_);
  subscribers_.erase(std::find(subscribers_.begin(), subscribers_.end(), subscriber));
  subscribers_count_->Set(static_cast<double>(subscribers_.size()));
}

http::ServerResponse Notifications::Live(const http::ServerRequest& request) {
  http::ServerResponse response;
  auto subscriber = std::make_unique<Subscriber>();
  {
    MutexLock lock(&mu_);
    if (closed_ || subscribers_.size() >= subscribers_max_) {
      response.status = 204;
      return response;
    }
    for (const Notification& notification : active_) {
      subscriber->pending.push_back(ToJson(notification));
    }
    subscribers_.push_back(subscriber.get());
    subscribers_count_->Set(static_cast<double>(subscribers_.size()));
  }
  // Takes its place back whether the stream runs or not (a HEAD request has none).
  const std::shared_ptr<Subscriber> place(subscriber.release(), [this](Subscriber* left) {
    Leave(left);
    delete left;
  });
  response.content_type = "text/event-stream";
  response.headers.Set("Cache-Control", "no-cache");
  response.stream = [this, place, gone = request.cancelled](const http::BodySink& sink) {
    bool good = true;
    while (good && !gone()) {
      std::string text;
      {
        MutexLock lock(&mu_);
        if (place->pending.empty()) {
          if (closed_) return true;
          changed_.WaitWithTimeout(&mu_, kLookPause);
        }
        if (place->pending.empty()) continue;
        text = std::move(place->pending.front());
        place->pending.pop_front();
      }
      good = sink(StrCat("data: ", text, "\n\n")) && sink("");
    }
    return good;
  };
  return response;
}

}  // namespace narthex::query_api
