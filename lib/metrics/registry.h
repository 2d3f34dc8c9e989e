#ifndef NARTHEX_LIB_METRICS_REGISTRY_H_
#define NARTHEX_LIB_METRICS_REGISTRY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex::metrics {

using LabelMap = std::map<std::string, std::string>;

// Handles to one series each; owned by the Registry, valid as long as it, thread-safe, a few
// nanoseconds a call.
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Increment(double by = 1) = 0;  // by >= 0
  virtual double Value() const = 0;
};
// A value that goes up and down.
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual void Add(double by) = 0;
  virtual double Value() const = 0;
};
// Counts observations by bucket.
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};
// Quantiles over the last ten minutes.
class Summary {
 public:
  virtual ~Summary() = default;
  virtual void Observe(double value) = 0;
};

// A histogram as it is counted elsewhere.
struct HistogramCounts {
  std::vector<double> bounds;    // Ascending, without +Inf.
  std::vector<uint64_t> counts;  // Of each bound, and one more for what is beyond; not cumulative.
  double sum = 0;
};

// What a scrape of ourselves sees; written by the /metrics handler of lib/service with
// lib/textparse/writer.
struct CollectedSample {
  std::string name;  // With _bucket, _sum, _count where they belong.
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};
struct CollectedFamily {
  std::string name;
  std::string help;
  std::string type;  // counter gauge histogram summary untyped
  std::vector<CollectedSample> samples;
};

// The metrics of one process, passed in at construction; there is no global one. Asking again for
// the same name and labels gives the same handle. Names and labels must be valid and a name has one
// type (CHECKed: they are written in the program). Thread-safe.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter* AddCounter(std::string_view name, std::string_view help, const LabelMap& labels = {});
  Gauge* AddGauge(std::string_view name, std::string_view help, const LabelMap& labels = {});
  Histogram* AddHistogram(std::string_view name, std::string_view help,
                          const std::vector<double>& bounds, const LabelMap& labels = {});
  Summary* AddSummary(std::string_view name, std::string_view help,
                      const std::vector<double>& quantiles, const LabelMap& labels = {});
  // A value that is read when collected. `read` must be thread-safe; it is called until the
  // returned object is destroyed.
  [[nodiscard]] std::shared_ptr<void> AddCallback(std::string_view name, std::string_view help,
                                                  std::string_view type, const LabelMap& labels,
                                                  std::function<double()> read);
  // The same for a histogram that somebody else counts.
  [[nodiscard]] std::shared_ptr<void> AddHistogramCallback(std::string_view name,
                                                           std::string_view help,
                                                           const LabelMap& labels,
                                                           std::function<HistogramCounts()> read);
  // Takes a series away (a target or pool that is gone).
  void Remove(std::string_view name, const LabelMap& labels);
  // process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, process_max_fds,
  // process_virtual_memory_bytes, process_start_time_seconds.
  void AddProcessMetrics();

  std::vector<CollectedFamily> Collect() const;  // Sorted by name.

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::metrics

#endif  // NARTHEX_LIB_METRICS_REGISTRY_H_
