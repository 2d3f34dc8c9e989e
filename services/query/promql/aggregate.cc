#include "services/query/promql/aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/base/float_format.h"
#include "lib/base/hash.h"
#include "lib/base/utf8.h"
#include "lib/labels/labels_builder.h"
#include "services/query/promql/aggregate_histograms.h"
#include "services/query/promql/histogram_buckets.h"
#include "services/query/promql/kahan.h"
#include "services/query/promql/quantile.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

// Takes the rows of one group, one after the other, and makes one row of them.
class Accumulator {
 public:
  virtual ~Accumulator() = default;
  virtual void Add(std::span<const double> values) = 0;
  // Writes the result; `out` has one value a step.
  virtual void Finish(std::span<double> out) = 0;
};

class SumAccumulator : public Accumulator {
 public:
  explicit SumAccumulator(size_t count) : sums_(count, KahanSum{Absent(), 0}) {}
  void Add(std::span<const double> values) override {
    for (size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      if (IsAbsent(sums_[i].sum)) {
        sums_[i].sum = values[i];
      } else {
        sums_[i].Add(values[i]);
      }
    }
  }
  void Finish(std::span<double> out) override {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = IsAbsent(sums_[i].sum) ? Absent() : sums_[i].Value();
    }
  }

 private:
  std::vector<KahanSum> sums_;
};

class MeanAccumulator : public Accumulator {
 public:
  explicit MeanAccumulator(size_t count) : means_(count) {}
  void Add(std::span<const double> values) override {
    for (size_t i = 0; i < values.size(); ++i) {
      if (IsPresent(values[i])) means_[i].Add(values[i]);
    }
  }
  void Finish(std::span<double> out) override {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = means_[i].empty() ? Absent() : means_[i].Value();
    }
  }

 private:
  std::vector<RunningMean> means_;
};

template <bool kMax>
class ExtremeAccumulator : public Accumulator {
 public:
  explicit ExtremeAccumulator(size_t count) : values_(count, Absent()) {}
  void Add(std::span<const double> values) override {
    for (size_t i = 0; i < values.size(); ++i) {
      const double value = values[i];
      double& best = values_[i];
      if (IsAbsent(value)) continue;
      // Both NaN and absent give way to anything.
      if (std::isnan(best) || (kMax ? value > best : value < best)) best = value;
    }
  }
  void Finish(std::span<double> out) override {
    std::copy(values_.begin(), values_.end(), out.begin());
  }

 private:
  std::vector<double> values_;
};

template <bool kGroup>
class CountAccumulator : public Accumulator {
 public:
  explicit CountAccumulator(size_t count) : counts_(count, 0) {}
  void Add(std::span<const double> values) override {
    for (size_t i = 0; i < values.size(); ++i) counts_[i] += IsPresent(values[i]) ? 1 : 0;
  }
  void Finish(std::span<double> out) override {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = counts_[i] == 0 ? Absent() : kGroup ? 1 : static_cast<double>(counts_[i]);
    }
  }

 private:
  std::vector<uint32_t> counts_;
};

// Welford's running variance.
template <bool kDeviation>
class VarianceAccumulator : public Accumulator {
 public:
  explicit VarianceAccumulator(size_t count) : cells_(count) {}
  void Add(std::span<const double> values) override {
    for (size_t i = 0; i < values.size(); ++i) {
      if (IsAbsent(values[i])) continue;
      Cell& cell = cells_[i];
      ++cell.count;
      const double delta = values[i] - cell.mean;
      cell.mean += delta / cell.count;
      cell.squares += delta * (values[i] - cell.mean);
    }
  }
  void Finish(std::span<double> out) override {
    for (size_t i = 0; i < out.size(); ++i) {
      const Cell& cell = cells_[i];
      const double variance = cell.squares / cell.count;
      out[i] = cell.count == 0 ? Absent() : kDeviation ? std::sqrt(variance) : variance;
    }
  }

 private:
  struct Cell {
    double count = 0;
    double mean = 0;
    double squares = 0;
  };
  std::vector<Cell> cells_;
};

std::unique_ptr<Accumulator> MakeAccumulator(AggregateOp op, size_t count) {
  switch (op) {
    case AggregateOp::kSum:
      return std::make_unique<SumAccumulator>(count);
    case AggregateOp::kAvg:
      return std::make_unique<MeanAccumulator>(count);
    case AggregateOp::kMin:
      return std::make_unique<ExtremeAccumulator<false>>(count);
    case AggregateOp::kMax:
      return std::make_unique<ExtremeAccumulator<true>>(count);
    case AggregateOp::kCount:
      return std::make_unique<CountAccumulator<false>>(count);
    case AggregateOp::kGroup:
      return std::make_unique<CountAccumulator<true>>(count);
    case AggregateOp::kStddev:
      return std::make_unique<VarianceAccumulator<true>>(count);
    case AggregateOp::kStdvar:
      return std::make_unique<VarianceAccumulator<false>>(count);
    case AggregateOp::kTopK:
    case AggregateOp::kBottomK:
    case AggregateOp::kQuantile:
    case AggregateOp::kCountValues:
    case AggregateOp::kLimitK:
    case AggregateOp::kLimitRatio:
      break;
  }
  return nullptr;
}

// Reads the child in one go on the first Next() and hands out what Compute() made.
class AggregateOperator : public VectorOperator {
 public:
  AggregateOperator(EvalContext* context, AggregateArguments arguments, VectorOperatorPtr child,
                    size_t count)
      : context_(context),
        arguments_(std::move(arguments)),
        count_(count),
        grouper_(arguments_.grouping, !arguments_.without),
        child_(std::move(child)),
        holding_(context) {}

  bool Next(Row* row) override {
    if (child_ != nullptr) {
      const VectorOperatorPtr child = std::move(child_);
      if (!Compute(child.get())) return false;
    }
    if (next_ == results_.size()) return false;
    *row = std::move(results_[next_++]);
    return true;
  }

 protected:
  // Fills results_. False on an error.
  virtual bool Compute(VectorOperator* child) = 0;

  // The number of the group of `row`; `*added` tells whether it is new.
  size_t GroupOf(const Row& row, bool* added) { return grouper_.Find(row.labels, added); }
  Row GroupRow(const Row& row) const {
    Row group;
    group.labels = grouper_.GroupLabels(row.labels);
    group.drop_name = row.drop_name;
    group.values.assign(count_, Absent());
    return group;
  }
  // Counts a result row of a new group, and what is needed to make it.
  bool HoldGroup(size_t bytes_per_step) {
    return holding_.Add(count_, count_ * (sizeof(double) + bytes_per_step) + kGroupBytes);
  }

  EvalContext* const context_;
  const AggregateArguments arguments_;
  const size_t count_;
  LabelGrouper grouper_;
  std::vector<Row> results_;

 private:
  // About: the row, the labels, the entry of the group.
  static constexpr size_t kGroupBytes = 256;

  VectorOperatorPtr child_;  // Null once read.
  size_t next_ = 0;
  Holding holding_;
};

// sum, avg, min, max, count, group, stddev, stdvar: row by row.
class FoldAggregate : public AggregateOperator {
 public:
  using AggregateOperator::AggregateOperator;

 protected:
  bool Compute(VectorOperator* child) override {
    std::vector<std::unique_ptr<Accumulator>> accumulators;
    HistogramAggregate histograms(context_, arguments_, count_);
    Row row;
    while (child->Next(&row)) {
      if (!context_->Tick(count_)) return false;
      bool added = false;
      const size_t group = GroupOf(row, &added);
      if (added) {
        if (!HoldGroup(kAccumulatorBytes)) return false;
        results_.push_back(GroupRow(row));
        accumulators.push_back(MakeAccumulator(arguments_.op, count_));
      }
      results_[group].drop_name = results_[group].drop_name || row.drop_name;
      accumulators[group]->Add(row.values);
      if (row.has_histograms()) histograms.Add(group, row);
    }
    if (!context_->ok()) return false;
    for (size_t i = 0; i < results_.size(); ++i) {
      accumulators[i]->Finish(results_[i].values);
      histograms.Finish(i, &results_[i]);
    }
    return true;
  }

 private:
  // Of the largest accumulator, a step.
  static constexpr size_t kAccumulatorBytes = 32;
};

// Aggregations that need all values of a group at a step together.
class GroupedAggregate : public AggregateOperator {
 public:
  GroupedAggregate(EvalContext* context, AggregateArguments arguments, VectorOperatorPtr child,
                   ScalarOperatorPtr param, size_t count)
      : AggregateOperator(context, std::move(arguments), std::move(child), count),
        param_operator_(std::move(param)),
        buffer_(context) {}

 protected:
  bool Compute(VectorOperator* child) override {
    if (!param_operator_->Values(&param_) || !CheckParam()) return false;
    if (!buffer_.ReadAll(child)) return false;
    for (Row& row : buffer_.rows()) {
      bool added = false;
      const size_t group = GroupOf(row, &added);
      if (added) groups_.emplace_back();
      groups_[group].push_back(&row);
    }
    return Finish();
  }

  virtual bool CheckParam() = 0;
  virtual bool Finish() = 0;

  std::vector<double> param_;
  std::vector<std::vector<Row*>> groups_;

 private:
  const ScalarOperatorPtr param_operator_;
  RowBuffer buffer_;
};

class QuantileAggregate : public GroupedAggregate {
 public:
  using GroupedAggregate::GroupedAggregate;

 protected:
  bool CheckParam() override {
    for (double quantile : param_) {
      WarnOfQuantile(quantile, arguments_.param_position, &context_->annotations());
    }
    return true;
  }

  bool Finish() override {
    std::vector<double> values;
    for (const std::vector<Row*>& group : groups_) {
      Row result = GroupRow(*group.front());
      for (const Row* row : group) result.drop_name = result.drop_name || row->drop_name;
      for (size_t i = 0; i < count_; ++i) {
        values.clear();
        for (const Row* row : group) {
          if (IsPresent(row->values[i])) values.push_back(row->values[i]);
          if (row->HistogramAt(i) != nullptr) {
            InformOfIgnoredInAggregation(context_, arguments_.op, arguments_.expr_position);
          }
        }
        if (!context_->Tick(group.size())) return false;
        if (!values.empty()) result.values[i] = Quantile(param_[i], &values);
      }
      results_.push_back(std::move(result));
    }
    return true;
  }
};

// topk, bottomk and limitk: per step, the first k elements of each group in some order.
class SelectAggregate : public GroupedAggregate {
 public:
  using GroupedAggregate::GroupedAggregate;

 protected:
  bool CheckParam() override {
    for (double k : param_) {
      if (std::isnan(k)) {
        context_->Error("Parameter value is NaN");
      } else if (k >= 9223372036854775808.0) {
        context_->Error("Scalar value ", FormatFloatG(k), " overflows int64");
      } else if (k < -9223372036854775808.0) {
        context_->Error("Scalar value ", FormatFloatG(k), " underflows int64");
      }
      if (!context_->ok()) return false;
    }
    return true;
  }

  bool Finish() override {
    for (std::vector<Row*>& group : groups_) {
      if (!SelectSteps(group)) return false;
      // With one step the order matters to who reads it.
      if (count_ == 1) std::copy(order_.begin(), order_.end(), group.begin());
      const size_t kept = count_ == 1 ? order_.size() : group.size();
      for (size_t i = 0; i < kept; ++i) results_.push_back(std::move(*group[i]));
    }
    return true;
  }

 private:
  bool SelectSteps(const std::vector<Row*>& group) {
    std::vector<bool> selected(group.size());
    for (size_t step = 0; step < count_; ++step) {
      if (!context_->Tick(group.size())) return false;
      Order(group, step);
      const auto k = static_cast<size_t>(
          std::max(0.0, std::min(param_[step], static_cast<double>(order_.size()))));
      order_.resize(k);
      if (count_ == 1) return true;
      std::fill(selected.begin(), selected.end(), false);
      for (const Row* row : order_) selected[positions_[row]] = true;
      for (size_t i = 0; i < group.size(); ++i) {
        if (!selected[i]) group[i]->RemoveAt(step);
      }
    }
    return true;
  }

  // order_: the elements that are there at `step`, best first; equal ones in the order they came
  // in.
  void Order(const std::vector<Row*>& group, size_t step) {
    if (step == 0) {
      positions_.clear();
      for (size_t i = 0; i < group.size(); ++i) positions_[group[i]] = i;
    }
    order_.clear();
    for (Row* row : group) {
      const bool histogram = row->HistogramAt(step) != nullptr;
      if (histogram && arguments_.op != AggregateOp::kLimitK) {
        // Without any place to give there is nothing to leave out.
        if (param_[step] >= 1) {
          InformOfIgnoredInAggregation(context_, arguments_.op, arguments_.position);
        }
      } else if (histogram || IsPresent(row->values[step])) {
        order_.push_back(row);
      }
    }
    if (arguments_.op == AggregateOp::kLimitK) return;
    const bool largest = arguments_.op == AggregateOp::kTopK;
    const auto better = [&](const Row* a, const Row* b) {
      const double x = a->values[step];
      const double y = b->values[step];
      if (std::isnan(x) || std::isnan(y)) {
        if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
      } else if (x != y) {
        return largest ? x > y : x < y;
      }
      return positions_[a] < positions_[b];
    };
    const double k = std::max(0.0, std::min(param_[step], static_cast<double>(order_.size())));
    const auto middle = order_.begin() + static_cast<std::ptrdiff_t>(k);
    std::partial_sort(order_.begin(), middle, order_.end(), better);
  }

  std::vector<Row*> order_;
  absl::flat_hash_map<const Row*, size_t> positions_;
};

// limit_ratio: a subset chosen by the hash of the labels, so that r and -(1-r) are complements.
class RatioAggregate : public GroupedAggregate {
 public:
  using GroupedAggregate::GroupedAggregate;

 protected:
  bool CheckParam() override {
    for (double& ratio : param_) {
      if (std::isnan(ratio)) {
        context_->Error("Ratio value is NaN");
        return false;
      }
      const double capped = std::max(-1.0, std::min(1.0, ratio));
      if (capped == ratio) continue;
      context_->annotations().Warn(
          StrCat("ratio value should be between -1 and 1, got ", FormatFloatG(ratio),
                 ", capping to ", FormatFloatG(capped)),
          arguments_.param_position);
      ratio = capped;
    }
    return true;
  }

  bool Finish() override {
    for (const std::vector<Row*>& group : groups_) {
      for (Row* row : group) {
        const double offset = static_cast<double>(UpstreamHash(row->labels)) /
                              static_cast<double>(std::numeric_limits<uint64_t>::max());
        for (size_t i = 0; i < count_; ++i) {
          const double ratio = param_[i];
          const bool kept = ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
          if (!kept && ratio != 1 && ratio != -1) row->RemoveAt(i);
        }
        results_.push_back(std::move(*row));
      }
    }
    return true;
  }

 private:
  static void AppendSized(std::string* bytes, std::string_view text) {
    if (text.size() < 255) {
      bytes->push_back(static_cast<char>(text.size()));
    } else {
      bytes->push_back(static_cast<char>(255));
      for (int shift : {0, 8, 16}) bytes->push_back(static_cast<char>(text.size() >> shift));
    }
    bytes->append(text);
  }

  // What Prometheus hashes (its packed label strings), so that both choose the same series.
  static uint64_t UpstreamHash(const Labels& labels) {
    std::string bytes;
    for (const LabelView& label : labels) {
      AppendSized(&bytes, label.name);
      AppendSized(&bytes, label.value);
    }
    return StableHash(bytes);
  }
};

class CountValuesAggregate : public AggregateOperator {
 public:
  using AggregateOperator::AggregateOperator;

 protected:
  bool Compute(VectorOperator* child) override {
    if (arguments_.value_label.empty() || !IsValidUtf8(arguments_.value_label)) {
      context_->Error("invalid label name ", Quote(arguments_.value_label));
      return false;
    }
    absl::flat_hash_map<Labels, size_t> index;
    LabelsBuilder builder;
    Row row;
    while (child->Next(&row)) {
      if (!context_->Tick(count_)) return false;
      const Labels group = grouper_.GroupLabels(row.labels);
      double last = Absent();
      const FloatHistogram* last_histogram = nullptr;
      size_t result = 0;
      for (size_t i = 0; i < count_; ++i) {
        const double value = row.values[i];
        const FloatHistogram* histogram = row.HistogramAt(i);
        if (IsAbsent(value) && histogram == nullptr) continue;
        if (histogram == nullptr ? !(value == last) : histogram != last_histogram) {
          builder.Reset(group);
          builder.Set(arguments_.value_label,
                      histogram == nullptr ? FormatFloat(value) : HistogramText(*histogram));
          const Labels labels = builder.Build();
          const auto [it, added] = index.try_emplace(labels, results_.size());
          if (added) {
            if (!HoldGroup(0)) return false;
            results_.emplace_back();
            results_.back().labels = labels;
            results_.back().values.assign(count_, Absent());
          }
          result = it->second;
          last = value;
          last_histogram = histogram;
        }
        double& counted = results_[result].values[i];
        counted = IsAbsent(counted) ? 1 : counted + 1;
        results_[result].drop_name = results_[result].drop_name || row.drop_name;
      }
    }
    return context_->ok();
  }
};

}  // namespace

VectorOperatorPtr MakeAggregate(EvalContext* context, AggregateArguments arguments,
                                VectorOperatorPtr child, ScalarOperatorPtr param, size_t count) {
  switch (arguments.op) {
    case AggregateOp::kSum:
    case AggregateOp::kAvg:
    case AggregateOp::kMin:
    case AggregateOp::kMax:
    case AggregateOp::kCount:
    case AggregateOp::kGroup:
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
      return std::make_unique<FoldAggregate>(context, std::move(arguments), std::move(child),
                                             count);
    case AggregateOp::kTopK:
    case AggregateOp::kBottomK:
    case AggregateOp::kLimitK:
      return std::make_unique<SelectAggregate>(context, std::move(arguments), std::move(child),
                                               std::move(param), count);
    case AggregateOp::kQuantile:
      return std::make_unique<QuantileAggregate>(context, std::move(arguments), std::move(child),
                                                 std::move(param), count);
    case AggregateOp::kCountValues:
      return std::make_unique<CountValuesAggregate>(context, std::move(arguments), std::move(child),
                                                    count);
    case AggregateOp::kLimitRatio:
      return std::make_unique<RatioAggregate>(context, std::move(arguments), std::move(child),
                                              std::move(param), count);
  }
  return nullptr;
}

}  // namespace narthex::promql
