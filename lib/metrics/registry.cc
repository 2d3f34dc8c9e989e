#include "lib/metrics/registry.h"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/summary.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/float_format.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"

namespace narthex::metrics {
namespace {

using LabelPairs = std::vector<std::pair<std::string, std::string>>;

// One series (or one histogram's worth of series) that can be collected.
class Metric {
 public:
  virtual ~Metric() = default;
  virtual void Collect(const std::string& name, const LabelPairs& labels,
                       std::vector<CollectedSample>* out) const = 0;
};

LabelPairs With(const LabelPairs& labels, std::string_view name, std::string value) {
  LabelPairs more = labels;
  more.emplace_back(name, std::move(value));
  return more;
}

class CounterMetric : public Metric, public Counter {
 public:
  void Increment(double by) override { counter_.Increment(by); }
  double Value() const override { return counter_.Value(); }
  void Collect(const std::string& name, const LabelPairs& labels,
               std::vector<CollectedSample>* out) const override {
    out->push_back({name, labels, Value()});
  }

 private:
  prometheus::Counter counter_;
};

class GaugeMetric : public Metric, public Gauge {
 public:
  void Set(double value) override { gauge_.Set(value); }
  void Add(double by) override { gauge_.Increment(by); }
  double Value() const override { return gauge_.Value(); }
  void Collect(const std::string& name, const LabelPairs& labels,
               std::vector<CollectedSample>* out) const override {
    out->push_back({name, labels, Value()});
  }

 private:
  prometheus::Gauge gauge_;
};

class HistogramMetric : public Metric, public Histogram {
 public:
  explicit HistogramMetric(const std::vector<double>& bounds) : histogram_(bounds) {}
  void Observe(double value) override { histogram_.Observe(value); }
  void Collect(const std::string& name, const LabelPairs& labels,
               std::vector<CollectedSample>* out) const override {
    const auto collected = histogram_.Collect().histogram;
    for (const auto& bucket : collected.bucket) {
      out->push_back({name + "_bucket", With(labels, "le", FormatFloatG(bucket.upper_bound)),
                      static_cast<double>(bucket.cumulative_count)});
    }
    out->push_back({name + "_sum", labels, collected.sample_sum});
    out->push_back({name + "_count", labels, static_cast<double>(collected.sample_count)});
  }

 private:
  prometheus::Histogram histogram_;
};

prometheus::Summary::Quantiles MakeQuantiles(const std::vector<double>& quantiles) {
  prometheus::Summary::Quantiles out;
  for (const double quantile : quantiles)
    out.emplace_back(quantile, quantile >= 0.99 ? 0.001 : 0.01);
  return out;
}

class SummaryMetric : public Metric, public Summary {
 public:
  explicit SummaryMetric(const std::vector<double>& quantiles)
      : summary_(MakeQuantiles(quantiles), std::chrono::minutes(10)) {}
  void Observe(double value) override { summary_.Observe(value); }
  void Collect(const std::string& name, const LabelPairs& labels,
               std::vector<CollectedSample>* out) const override {
    const auto collected = summary_.Collect().summary;
    for (const auto& quantile : collected.quantile) {
      out->push_back(
          {name, With(labels, "quantile", FormatFloatG(quantile.quantile)), quantile.value});
    }
    out->push_back({name + "_sum", labels, collected.sample_sum});
    out->push_back({name + "_count", labels, static_cast<double>(collected.sample_count)});
  }

 private:
  prometheus::Summary summary_;
};

class CallbackMetric : public Metric {
 public:
  explicit CallbackMetric(std::function<double()> read) : read_(std::move(read)) {}
  void Collect(const std::string& name, const LabelPairs& labels,
               std::vector<CollectedSample>* out) const override {
    out->push_back({name, labels, read_()});
  }

 private:
  const std::function<double()> read_;
};

class HistogramCallbackMetric : public Metric {
 public:
  explicit HistogramCallbackMetric(std::function<HistogramCounts()> read)
      : read_(std::move(read)) {}
  void Collect(const std::string& name, const LabelPairs& labels,
               std::vector<CollectedSample>* out) const override {
    const HistogramCounts histogram = read_();
    NARTHEX_CHECK(histogram.counts.size() == histogram.bounds.size() + 1);
    uint64_t count = 0;
    for (size_t i = 0; i < histogram.counts.size(); ++i) {
      count += histogram.counts[i];
      const std::string bound =
          i < histogram.bounds.size() ? FormatFloatG(histogram.bounds[i]) : "+Inf";
      out->push_back({name + "_bucket", With(labels, "le", bound), static_cast<double>(count)});
    }
    out->push_back({name + "_sum", labels, histogram.sum});
    out->push_back({name + "_count", labels, static_cast<double>(count)});
  }

 private:
  const std::function<HistogramCounts()> read_;
};

struct Family {
  std::string help;
  std::string type;
  std::map<LabelMap, std::shared_ptr<Metric>> metrics;
};

// Numbers of /proc/self/stat and its neighbours.
double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Field `index` (0: total program size, 1: resident) of /proc/self/statm, in bytes.
double MemoryBytes(int index) {
  unsigned long pages[2] = {0, 0};
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int fields = std::fscanf(file, "%lu %lu", &pages[0], &pages[1]);
  std::fclose(file);
  return fields == 2
             ? static_cast<double>(pages[index]) * static_cast<double>(sysconf(_SC_PAGESIZE))
             : 0;
}

double OpenFiles() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  double count = -3;  // Less ".", ".." and the directory itself.
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

double FilesMax() {
  rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<double>(limit.rlim_cur) : 0;
}

double StartTimeSeconds() {
  timespec wall, boot;
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  std::FILE* file = std::fopen("/proc/self/stat", "re");
  if (file == nullptr) return 0;
  char buffer[2048];
  const size_t size = std::fread(buffer, 1, sizeof buffer - 1, file);
  std::fclose(file);
  buffer[size] = '\0';
  // The name in parentheses may hold anything; fields count from behind it. Start time is field 22,
  // in ticks since boot.
  const char* at = std::strrchr(buffer, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) at = std::strchr(at + 1, ' ');
  int64_t ticks = 0;
  if (at == nullptr) return 0;
  std::string_view text(at + 1);
  if (!ParseInt64(text.substr(0, text.find(' ')), &ticks)) return 0;
  const double now = static_cast<double>(wall.tv_sec) + static_cast<double>(wall.tv_nsec) / 1e9;
  const double up = static_cast<double>(boot.tv_sec) + static_cast<double>(boot.tv_nsec) / 1e9;
  return now - up + static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

struct Registry::Rep {
  mutable Mutex mu;
  std::map<std::string, Family, std::less<>> families ABSL_GUARDED_BY(mu);
  std::vector<std::shared_ptr<void>> process_metrics;

  template <typename M, typename... Args>
  M* Add(std::string_view name, std::string_view help, std::string_view type,
         const LabelMap& labels, Args&&... args) {
    MutexLock lock(&mu);
    Family& family = families[std::string(name)];
    if (family.type.empty()) {
      family.type = type;
      family.help = help;
    }
    NARTHEX_CHECK(family.type == type);
    std::shared_ptr<Metric>& metric = family.metrics[labels];
    if (metric == nullptr) metric = std::make_shared<M>(std::forward<Args>(args)...);
    return static_cast<M*>(metric.get());
  }

  void Remove(std::string_view name, const LabelMap& labels) {
    MutexLock lock(&mu);
    const auto family = families.find(name);
    if (family != families.end()) family->second.metrics.erase(labels);
  }
};

Registry::Registry() : rep_(std::make_unique<Rep>()) {}
Registry::~Registry() { rep_->process_metrics.clear(); }

Counter* Registry::AddCounter(std::string_view name, std::string_view help,
                              const LabelMap& labels) {
  return rep_->Add<CounterMetric>(name, help, "counter", labels);
}

Gauge* Registry::AddGauge(std::string_view name, std::string_view help, const LabelMap& labels) {
  return rep_->Add<GaugeMetric>(name, help, "gauge", labels);
}

Histogram* Registry::AddHistogram(std::string_view name, std::string_view help,
                                  const std::vector<double>& bounds, const LabelMap& labels) {
  return rep_->Add<HistogramMetric>(name, help, "histogram", labels, bounds);
}

Summary* Registry::AddSummary(std::string_view name, std::string_view help,
                              const std::vector<double>& quantiles, const LabelMap& labels) {
  return rep_->Add<SummaryMetric>(name, help, "summary", labels, quantiles);
}

std::shared_ptr<void> Registry::AddCallback(std::string_view name, std::string_view help,
                                            std::string_view type, const LabelMap& labels,
                                            std::function<double()> read) {
  rep_->Add<CallbackMetric>(name, help, type, labels, std::move(read));
  // The deleter of an empty pointer runs when the last copy goes.
  return {nullptr, [rep = rep_.get(), name = std::string(name), labels](void*) {
            rep->Remove(name, labels);
          }};
}

std::shared_ptr<void> Registry::AddHistogramCallback(std::string_view name, std::string_view help,
                                                     const LabelMap& labels,
                                                     std::function<HistogramCounts()> read) {
  rep_->Add<HistogramCallbackMetric>(name, help, "histogram", labels, std::move(read));
  return {nullptr, [rep = rep_.get(), name = std::string(name), labels](void*) {
            rep->Remove(name, labels);
          }};
}

void Registry::Remove(std::string_view name, const LabelMap& labels) { rep_->Remove(name, labels); }

void Registry::AddProcessMetrics() {
  const auto add = [this](std::string_view name, std::string_view help, std::string_view type,
                          std::function<double()> read) {
    rep_->process_metrics.push_back(AddCallback(name, help, type, {}, std::move(read)));
  };
  add("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter",
      CpuSeconds);
  add("process_resident_memory_bytes", "Resident memory size in bytes.", "gauge",
      [] { return MemoryBytes(1); });
  add("process_virtual_memory_bytes", "Virtual memory size in bytes.", "gauge",
      [] { return MemoryBytes(0); });
  add("process_open_fds", "Number of open file descriptors.", "gauge", OpenFiles);
  add("process_max_fds", "Maximum number of open file descriptors.", "gauge", FilesMax);
  add("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
      "gauge", [start = StartTimeSeconds()] { return start; });
}

std::vector<CollectedFamily> Registry::Collect() const {
  // Callbacks may take locks of their own, so they run without ours.
  std::vector<std::pair<std::string, Family>> families;
  {
    MutexLock lock(&rep_->mu);
    families.assign(rep_->families.begin(), rep_->families.end());
  }
  std::vector<CollectedFamily> collected;
  for (const auto& [name, family] : families) {
    if (family.metrics.empty()) continue;
    CollectedFamily& out = collected.emplace_back();
    out.name = name;
    out.help = family.help;
    out.type = family.type;
    for (const auto& [labels, metric] : family.metrics) {
      metric->Collect(name, LabelPairs(labels.begin(), labels.end()), &out.samples);
    }
  }
  return collected;
}

}  // namespace narthex::metrics
