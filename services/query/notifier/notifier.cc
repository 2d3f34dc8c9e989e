#include "services/query/notifier/notifier.h"

#include <atomic>
#include <set>
#include <utility>

#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/labels/labels_builder.h"
#include "lib/relabel/relabel.h"
#include "services/query/notifier/alert_queue.h"

namespace narthex::notifier {
namespace {

// The labels that `rules` make of `labels`; false when the alert is dropped.
bool Relabel(const std::vector<relabel::RelabelConfig>& rules, Labels* labels) {
  if (rules.empty()) return true;
  LabelsBuilder builder(*labels);
  if (!relabel::Process(rules, &builder)) return false;
  *labels = builder.Build();
  return !labels->empty();
}

}  // namespace

// The queue, connection and thread of one Alertmanager.
class Notifier::Sender {
 public:
  Sender(const AlertmanagerEndpoint& endpoint, const NotifierOptions& options, Clock* clock,
         const Logger& logger, metrics::Registry* registry)
      : url_(endpoint.url),
        key_(endpoint.key),
        options_(options),
        clock_(clock),
        logger_(logger.With({{"alertmanager", endpoint.url}})),
        client_(endpoint.connect()),
        queue_(options.queue_capacity) {
    const metrics::LabelMap labels = {{"alertmanager", url_}};
    sent_ = registry->AddCounter("prometheus_notifications_sent_total",
                                 "Total number of alerts sent.", labels);
    errors_ = registry->AddCounter("prometheus_notifications_errors_total",
                                   "Total number of sent alerts affected by errors.", labels);
    dropped_ = registry->AddCounter(
        "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.", labels);
    latency_ = registry->AddSummary("prometheus_notifications_latency_seconds",
                                    "Latency quantiles for sending alert notifications.",
                                    {0.5, 0.9, 0.99}, labels);
    registry
        ->AddGauge("prometheus_notifications_queue_capacity",
                   "The capacity of the alert notifications queue.", labels)
        ->Set(static_cast<double>(options.queue_capacity));
    length_ = registry->AddGauge("prometheus_notifications_queue_length",
                                 "The number of alert notifications in the queue.", labels);
    thread_ = Thread("notifier", [this] { Run(); });
  }

  ~Sender() {
    Close(/*drain=*/false);
    thread_.Join();
  }

  const std::string& url() const { return url_; }
  const std::string& key() const { return key_; }

  void Push(std::vector<Alert> alerts) {
    const size_t dropped = queue_.Push(std::move(alerts));
    length_->Set(static_cast<double>(queue_.size()));
    if (dropped == 0) return;
    dropped_->Increment(static_cast<double>(dropped));
    logger_.Warn("the alert queue is full, the oldest alerts are dropped", {{"alerts", dropped}});
  }

  void Close(bool drain) {
    queue_.Close();
    if (!drain) DropQueued();
  }
  void DropQueued() { dropped_->Increment(static_cast<double>(queue_.Clear())); }
  bool idle() const { return queue_.size() == 0 && !sending_.load(); }

  // The series of an Alertmanager that nobody sends to any more.
  static void RemoveMetrics(metrics::Registry* registry, const std::string& url) {
    for (const std::string_view name :
         {"prometheus_notifications_sent_total", "prometheus_notifications_errors_total",
          "prometheus_notifications_dropped_total", "prometheus_notifications_latency_seconds",
          "prometheus_notifications_queue_capacity", "prometheus_notifications_queue_length"}) {
      registry->Remove(name, {{"alertmanager", url}});
    }
  }

 private:
  void Run() {
    while (true) {
      const std::vector<Alert> batch = queue_.PopBatch(options_.batch_size);
      if (batch.empty()) return;
      sending_ = true;
      length_->Set(static_cast<double>(queue_.size()));
      const double count = static_cast<double>(batch.size());
      const absl::Duration begin = clock_->Monotonic();
      const absl::Status status = client_->Post(batch);
      latency_->Observe(absl::ToDoubleSeconds(clock_->Monotonic() - begin));
      sent_->Increment(count);
      if (!status.ok()) {
        errors_->Increment(count);
        dropped_->Increment(count);
        logger_.Error("sending alerts failed", {{"alerts", batch.size()}, {"error", status}});
      }
      sending_ = false;
    }
  }

  // Constant after construction.
  const std::string url_;
  const std::string key_;
  const NotifierOptions options_;
  Clock* const clock_;
  const Logger logger_;
  metrics::Counter* sent_;
  metrics::Counter* errors_;
  metrics::Counter* dropped_;
  metrics::Gauge* length_;
  metrics::Summary* latency_;
  // Only touched by the thread.
  const std::unique_ptr<AlertmanagerClient> client_;
  // Synchronise themselves.
  AlertQueue queue_;
  std::atomic<bool> sending_{false};

  Thread thread_;
};

Notifier::Notifier(NotifierOptions options, Clock* clock, Logger logger,
                   metrics::Registry* registry)
    : options_(std::move(options)),
      clock_(clock),
      logger_(std::move(logger)),
      registry_(registry),
      discovered_(registry->AddGauge("prometheus_notifications_alertmanagers_discovered",
                                     "The number of alertmanagers discovered and active.")),
      snapshot_(std::make_shared<const Snapshot>()) {}

Notifier::~Notifier() { Stop(); }

std::shared_ptr<const Notifier::Snapshot> Notifier::snapshot() const {
  MutexLock lock(&mu_);
  return snapshot_;
}

void Notifier::SetRelabelling(const Labels& external_labels,
                              std::vector<relabel::RelabelConfig> alert_relabel_configs) {
  MutexLock lock(&mu_);
  auto next = std::make_shared<Snapshot>(*snapshot_);
  next->external_labels = external_labels;
  next->alert_relabel_configs = std::move(alert_relabel_configs);
  snapshot_ = std::move(next);
}

void Notifier::SetAlertmanagers(std::vector<AlertmanagerSet> sets) {
  std::vector<std::shared_ptr<Sender>> gone;
  {
    MutexLock lock(&mu_);
    if (stopped_) return;
    std::map<std::string, std::shared_ptr<Sender>> old_senders;
    for (const Set& set : snapshot_->sets) {
      for (const std::shared_ptr<Sender>& sender : set.senders) {
        old_senders[sender->key()] = sender;
      }
    }
    auto next = std::make_shared<Snapshot>();
    next->external_labels = snapshot_->external_labels;
    next->alert_relabel_configs = snapshot_->alert_relabel_configs;
    std::set<std::string> urls;
    size_t count = 0;
    for (AlertmanagerSet& set : sets) {
      Set& added = next->sets.emplace_back();
      added.alert_relabel_configs = std::move(set.alert_relabel_configs);
      for (const AlertmanagerEndpoint& endpoint : set.endpoints) {
        const auto old = old_senders.find(endpoint.key);
        if (old != old_senders.end()) {
          added.senders.push_back(old->second);
          old_senders.erase(old);
        } else {
          added.senders.push_back(
              std::make_shared<Sender>(endpoint, options_, clock_, logger_, registry_));
        }
        urls.insert(endpoint.url);
        ++count;
      }
      next->dropped_urls.insert(next->dropped_urls.end(), set.dropped_urls.begin(),
                                set.dropped_urls.end());
    }
    for (const auto& [key, sender] : old_senders) {
      gone.push_back(sender);
      if (!urls.contains(sender->url())) Sender::RemoveMetrics(registry_, sender->url());
    }
    discovered_->Set(static_cast<double>(count));
    snapshot_ = std::move(next);
  }
  // Joins here, outside of the lock, or in the last Send() that still holds the old snapshot.
  gone.clear();
}

void Notifier::Send(std::vector<Alert> alerts) {
  const std::shared_ptr<const Snapshot> now = snapshot();
  std::vector<Alert> kept;
  kept.reserve(alerts.size());
  LabelsBuilder builder;
  for (Alert& alert : alerts) {
    builder.Reset(alert.labels);
    for (const LabelView label : now->external_labels) {
      if (!alert.labels.Has(label.name)) builder.Set(label.name, label.value);
    }
    alert.labels = builder.Build();
    if (Relabel(now->alert_relabel_configs, &alert.labels)) kept.push_back(std::move(alert));
  }
  for (const Set& set : now->sets) {
    if (set.senders.empty()) continue;
    std::vector<Alert> relabelled;
    relabelled.reserve(kept.size());
    for (const Alert& alert : kept) {
      Labels labels = alert.labels;
      if (!Relabel(set.alert_relabel_configs, &labels)) continue;
      relabelled.push_back(alert);
      relabelled.back().labels = std::move(labels);
    }
    if (relabelled.empty()) continue;
    for (const std::shared_ptr<Sender>& sender : set.senders) sender->Push(relabelled);
  }
}

void Notifier::Stop() {
  std::shared_ptr<const Snapshot> last;
  {
    MutexLock lock(&mu_);
    if (stopped_) return;
    stopped_ = true;
    last = std::exchange(snapshot_, std::make_shared<const Snapshot>());
  }
  std::vector<std::shared_ptr<Sender>> senders;
  for (const Set& set : last->sets) {
    senders.insert(senders.end(), set.senders.begin(), set.senders.end());
  }
  for (const std::shared_ptr<Sender>& sender : senders) sender->Close(options_.drain_on_stop);
  // A stop signal that nobody sets is a wait in real time, whatever clock the process runs on.
  StopSignal never;
  for (absl::Duration waited; waited < options_.drain_timeout; waited += absl::Milliseconds(10)) {
    bool idle = true;
    for (const std::shared_ptr<Sender>& sender : senders) idle = idle && sender->idle();
    if (idle) break;
    never.WaitFor(absl::Milliseconds(10));
  }
  for (const std::shared_ptr<Sender>& sender : senders) sender->DropQueued();
}

std::vector<std::string> Notifier::active_urls() const {
  std::vector<std::string> urls;
  for (const Set& set : snapshot()->sets) {
    for (const std::shared_ptr<Sender>& sender : set.senders) urls.push_back(sender->url());
  }
  return urls;
}

std::vector<std::string> Notifier::dropped_urls() const { return snapshot()->dropped_urls; }

}  // namespace narthex::notifier
