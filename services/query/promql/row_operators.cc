#include "services/query/promql/row_operators.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "lib/labels/labels_builder.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kTypeLabel = "__type__";
constexpr std::string_view kUnitLabel = "__unit__";

class Merge : public VectorOperator {
 public:
  Merge(EvalContext* context, VectorOperatorPtr child)
      : context_(context), child_(std::move(child)), buffer_(context) {}

  bool Next(Row* row) override {
    if (child_ != nullptr && !Fill()) return false;
    if (next_ == buffer_.rows().size()) return false;
    *row = std::move(buffer_.rows()[next_++]);
    return true;
  }

 private:
  bool Fill() {
    const VectorOperatorPtr child = std::move(child_);
    absl::flat_hash_map<Labels, size_t> index;
    Row row;
    while (child->Next(&row)) {
      if (!context_->Tick(row.values.size())) return false;
      const auto [it, added] = index.try_emplace(row.labels, buffer_.rows().size());
      if (added ? !buffer_.Add(std::move(row)) : !Join(row, &buffer_.rows()[it->second])) {
        return false;
      }
    }
    return context_->ok();
  }

  bool Join(const Row& from, Row* to) {
    for (size_t i = 0; i < from.size(); ++i) {
      if (!from.PresentAt(i)) continue;
      if (to->PresentAt(i)) {
        context_->Error("vector cannot contain metrics with the same labelset");
        return false;
      }
      to->CopyAt(i, from);
    }
    to->drop_name = to->drop_name || from.drop_name;
    return true;
  }

  EvalContext* const context_;
  VectorOperatorPtr child_;  // Null once read.
  RowBuffer buffer_;
  size_t next_ = 0;
};

class Broadcast : public VectorOperator {
 public:
  Broadcast(EvalContext* context, VectorOperatorPtr child, size_t count)
      : context_(context), child_(std::move(child)), count_(count) {}

  bool Next(Row* row) override {
    if (!child_->Next(row)) return false;
    row->values.resize(count_, row->values[0]);
    if (row->has_histograms()) row->histograms.resize(count_, row->histograms[0]);
    return context_->Tick(count_);
  }

 private:
  EvalContext* const context_;
  const VectorOperatorPtr child_;
  const size_t count_;
};

class ScalarBroadcast : public ScalarOperator {
 public:
  ScalarBroadcast(ScalarOperatorPtr child, size_t count)
      : child_(std::move(child)), count_(count) {}

  bool Values(std::vector<double>* values) override {
    if (!child_->Values(values)) return false;
    values->resize(count_, values->front());
    return true;
  }

 private:
  const ScalarOperatorPtr child_;
  const size_t count_;
};

class Constant : public ScalarOperator {
 public:
  Constant(double value, size_t count) : value_(value), count_(count) {}
  bool Values(std::vector<double>* values) override {
    values->assign(count_, value_);
    return true;
  }

 private:
  const double value_;
  const size_t count_;
};

bool EvaluateAll(const std::vector<ScalarOperatorPtr>& operators,
                 std::vector<std::vector<double>>* values) {
  values->resize(operators.size());
  for (size_t i = 0; i < operators.size(); ++i) {
    if (!operators[i]->Values(&(*values)[i])) return false;
  }
  return true;
}

class RowMap : public VectorOperator {
 public:
  RowMap(EvalContext* context, VectorOperatorPtr child, std::vector<ScalarOperatorPtr> params,
         RowChange change)
      : context_(context),
        child_(std::move(child)),
        params_(std::move(params)),
        change_(std::move(change)) {}

  bool Next(Row* row) override {
    if (!ready_) {
      if (!EvaluateAll(params_, &values_)) return false;
      ready_ = true;
    }
    if (!child_->Next(row)) return false;
    change_(row, values_);
    return context_->Tick(row->values.size());
  }

 private:
  EvalContext* const context_;
  const VectorOperatorPtr child_;
  const std::vector<ScalarOperatorPtr> params_;
  const RowChange change_;
  std::vector<std::vector<double>> values_;
  bool ready_ = false;
};

class Collect : public VectorOperator {
 public:
  Collect(EvalContext* context, VectorOperatorPtr child, RowsFunction make)
      : context_(context), child_(std::move(child)), make_(std::move(make)), buffer_(context) {}

  bool Next(Row* row) override {
    if (child_ != nullptr) {
      const VectorOperatorPtr child = std::move(child_);
      if (!buffer_.ReadAll(child.get())) return false;
      make_(std::move(buffer_.rows()), &out_);
    }
    if (!context_->ok() || next_ == out_.size()) return false;
    *row = std::move(out_[next_++]);
    return true;
  }

 private:
  EvalContext* const context_;
  VectorOperatorPtr child_;  // Null once read.
  const RowsFunction make_;
  RowBuffer buffer_;
  std::vector<Row> out_;
  size_t next_ = 0;
};

class ScalarFunctionOperator : public ScalarOperator {
 public:
  ScalarFunctionOperator(std::vector<ScalarOperatorPtr> params, size_t count, ScalarFunction make)
      : params_(std::move(params)), count_(count), make_(std::move(make)) {}

  bool Values(std::vector<double>* values) override {
    std::vector<std::vector<double>> params;
    if (!EvaluateAll(params_, &params)) return false;
    values->resize(count_);
    make_(params, values);
    return true;
  }

 private:
  const std::vector<ScalarOperatorPtr> params_;
  const size_t count_;
  const ScalarFunction make_;
};

void AppendSized(std::string* out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  char bytes[sizeof(size)];
  std::memcpy(bytes, &size, sizeof(size));
  out->append(bytes, sizeof(size));
  out->append(text);
}

}  // namespace

Labels WithoutName(const Labels& labels) {
  const auto dropped = [](std::string_view name) {
    return name == kMetricName || name == kTypeLabel || name == kUnitLabel;
  };
  std::vector<LabelView> kept;
  kept.reserve(labels.size());
  for (const LabelView& label : labels) {
    if (!dropped(label.name)) kept.push_back(label);
  }
  return kept.size() == labels.size() ? labels : Labels::FromSorted(kept);
}

void DropName(Row* row, const EvalContext::Options& options) {
  if (options.delayed_name_removal) {
    row->drop_name = true;
  } else {
    row->labels = WithoutName(row->labels);
  }
}

bool RowBuffer::Add(Row row) {
  const size_t samples = SampleCount(row);
  const size_t bytes = MemoryBytes(row);
  rows_.push_back(std::move(row));
  return holding_.Add(samples, bytes);
}

bool RowBuffer::ReadAll(VectorOperator* source) {
  Row row;
  while (source->Next(&row)) {
    if (!Add(std::move(row)) || !context_->Tick(rows_.back().values.size())) return false;
  }
  return context_->ok();
}

VectorOperatorPtr MakeMerge(EvalContext* context, VectorOperatorPtr child) {
  return std::make_unique<Merge>(context, std::move(child));
}

VectorOperatorPtr MakeBroadcast(EvalContext* context, VectorOperatorPtr child, size_t count) {
  return std::make_unique<Broadcast>(context, std::move(child), count);
}

ScalarOperatorPtr MakeScalarBroadcast(ScalarOperatorPtr child, size_t count) {
  return std::make_unique<ScalarBroadcast>(std::move(child), count);
}

ScalarOperatorPtr MakeConstant(double value, size_t count) {
  return std::make_unique<Constant>(value, count);
}

VectorOperatorPtr MakeRowMap(EvalContext* context, VectorOperatorPtr child,
                             std::vector<ScalarOperatorPtr> params, RowChange change) {
  return std::make_unique<RowMap>(context, std::move(child), std::move(params), std::move(change));
}

VectorOperatorPtr MakeCollect(EvalContext* context, VectorOperatorPtr child, RowsFunction make) {
  return std::make_unique<Collect>(context, std::move(child), std::move(make));
}

ScalarOperatorPtr MakeScalarFunction(std::vector<ScalarOperatorPtr> params, size_t count,
                                     ScalarFunction make) {
  return std::make_unique<ScalarFunctionOperator>(std::move(params), count, std::move(make));
}

LabelGrouper::LabelGrouper(std::vector<std::string> names, bool by)
    : names_(std::move(names)), by_(by) {
  if (!by_) names_.emplace_back(kMetricName);
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
}

void LabelGrouper::MakeKey(const Labels& labels) {
  key_.clear();
  if (by_) {
    for (const std::string& name : names_) AppendSized(&key_, labels.Get(name));
    return;
  }
  for (const LabelView& label : labels) {
    if (std::binary_search(names_.begin(), names_.end(), label.name)) continue;
    AppendSized(&key_, label.name);
    AppendSized(&key_, label.value);
  }
}

size_t LabelGrouper::Find(const Labels& labels, bool* added) {
  MakeKey(labels);
  const auto found = groups_.find(key_);
  *added = found == groups_.end();
  if (!*added) return found->second;
  const size_t number = groups_.size();
  groups_.emplace(key_, number);
  return number;
}

size_t LabelGrouper::Lookup(const Labels& labels) {
  MakeKey(labels);
  const auto found = groups_.find(key_);
  return found == groups_.end() ? std::numeric_limits<size_t>::max() : found->second;
}

Labels LabelGrouper::GroupLabels(const Labels& labels) const {
  std::vector<LabelView> kept;
  for (const LabelView& label : labels) {
    if (std::binary_search(names_.begin(), names_.end(), label.name) == by_) kept.push_back(label);
  }
  return Labels::FromSorted(kept);
}

}  // namespace narthex::promql
