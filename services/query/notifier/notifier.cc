#include "services/query/notifier/notifier.h"

#include <atomic>
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

// The metrics of one Alertmanager. Several senders can have the same URL at once (an old one lives
// as long as a Send() that holds it); the series go with the last of them. Thread-safe.
class Notifier::SenderMetrics {
 public:
  // The pointers must outlive the object.
  SenderMetrics(metrics::Registry* registry, MetricUsers* users, const std::string& url)
      : registry_(registry), users_(users), labels_({{"alertmanager", url}}) {
    MutexLock lock(&users_->mu);
    ++users_->by_url[url];
    sent = registry->AddCounter("prometheus_notifications_sent_total",
                                "Total number of alerts sent.", labels_);
    errors = registry->AddCounter("prometheus_notifications_errors_total",
                                  "Total number of sent alerts affected by errors.", labels_);
    dropped = registry->AddCounter(
        "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.", labels_);
    latency = registry->AddSummary("prometheus_notifications_latency_seconds",
                                   "Latency quantiles for sending alert notifications.",
                                   {0.5, 0.9, 0.99}, labels_);
    capacity = registry->AddGauge("prometheus_notifications_queue_capacity",
                                  "The capacity of the alert notifications queue.", labels_);
    length = registry->AddGauge("prometheus_notifications_queue_length",
                                "The number of alert notifications in the queue.", labels_);
  }
  ~SenderMetrics() {
    MutexLock lock(&users_->mu);
    const auto users = users_->by_url.find(labels_.begin()->second);
    if (--users->second > 0 || users_->stopped) return;
    users_->by_url.erase(users);
    for (const std::string_view name :
         {"prometheus_notifications_sent_total", "prometheus_notifications_errors_total",
          "prometheus_notifications_dropped_total", "prometheus_notifications_latency_seconds",
          "prometheus_notifications_queue_capacity", "prometheus_notifications_queue_length"}) {
      registry_->Remove(name, labels_);
    }
  }
  SenderMetrics(const SenderMetrics&) = delete;
  SenderMetrics& operator=(const SenderMetrics&) = delete;

  metrics::Counter* sent;
  metrics::Counter* errors;
  metrics::Counter* dropped;
  metrics::Gauge* capacity;
  metrics::Gauge* length;
  metrics::Summary* latency;

 private:
  metrics::Registry* const registry_;
  MetricUsers* const users_;
  const metrics::LabelMap labels_;
};

// The queue, connection and thread of one Alertmanager.
class Notifier::Sender {
 public:
  Sender(const AlertmanagerEndpoint& endpoint, const NotifierOptions& options, Clock* clock,
         const Logger& logger, metrics::Registry* registry, MetricUsers* users)
      : url_(endpoint.url),
        key_(endpoint.key),
        options_(options),
        clock_(clock),
        logger_(logger.With({{"alertmanager", endpoint.url}})),
        metrics_(registry, users, endpoint.url),
        client_(endpoint.connect()),
        queue_(options.queue_capacity) {
    metrics_.capacity->Set(static_cast<double>(options.queue_capacity));
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
    metrics_.length->Set(static_cast<double>(queue_.size()));
    if (dropped == 0) return;
    metrics_.dropped->Increment(static_cast<double>(dropped));
    logger_.Warn("the alert queue is full, the oldest alerts are dropped", {{"alerts", dropped}});
  }

  void Close(bool drain) {
    queue_.Close();
    if (!drain) DropQueued();
  }
  void DropQueued() { metrics_.dropped->Increment(static_cast<double>(queue_.Clear())); }
  bool idle() const { return queue_.size() == 0 && !sending_.load(); }

 private:
  void Run() {
    while (true) {
      const std::vector<Alert> batch = queue_.PopBatch(options_.batch_size);
      if (batch.empty()) return;
      sending_ = true;
      metrics_.length->Set(static_cast<double>(queue_.size()));
      const double count = static_cast<double>(batch.size());
      const absl::Duration begin = clock_->Monotonic();
      const absl::Status status = client_->Post(batch);
      metrics_.latency->Observe(absl::ToDoubleSeconds(clock_->Monotonic() - begin));
      metrics_.sent->Increment(count);
      if (!status.ok()) {
        metrics_.errors->Increment(count);
        metrics_.dropped->Increment(count);
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
  const SenderMetrics metrics_;
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
          added.senders.push_back(std::make_shared<Sender>(endpoint, options_, clock_, logger_,
                                                           registry_, &metric_users_));
        }
        ++count;
      }
      next->dropped_urls.insert(next->dropped_urls.end(), set.dropped_urls.begin(),
                                set.dropped_urls.end());
    }
    for (const auto& [key, sender] : old_senders) gone.push_back(sender);
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
  {
    MutexLock lock(&metric_users_.mu);
    metric_users_.stopped = true;
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
