#ifndef NARTHEX_SERVICES_QUERY_PROMQL_KAHAN_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_KAHAN_H_

#include <cmath>

namespace narthex::promql {

// A sum with Neumaier's compensation: `sum` and what rounding took from it.
struct KahanSum {
  double sum = 0;
  double compensation = 0;

  void Add(double value) {
    const double total = sum + value;
    if (std::isinf(total)) {
      compensation = 0;
    } else if (std::abs(sum) >= std::abs(value)) {
      compensation += (sum - total) + value;
    } else {
      compensation += (value - total) + sum;
    }
    sum = total;
  }
  void Add(const KahanSum& other) {
    Add(other.sum);
    if (!std::isinf(sum)) compensation += other.compensation;
  }
  double Value() const { return std::isinf(sum) ? sum : sum + compensation; }
};

// The mean of values that come one by one. It sums up as long as the sum does not overflow and goes
// on with the running mean then, as upstream does.
class RunningMean {
 public:
  void Add(double value) {
    ++count_;
    if (count_ == 1) {
      sum_.sum = value;
      return;
    }
    if (!incremental_) {
      KahanSum next = sum_;
      next.Add(value);
      if (!std::isinf(next.sum)) {
        sum_ = next;
        return;
      }
      incremental_ = true;
      sum_.sum /= count_ - 1;
      sum_.compensation /= count_ - 1;
    }
    const double kept = (count_ - 1) / count_;
    sum_.sum *= kept;
    sum_.compensation *= kept;
    sum_.Add(value / count_);
  }
  bool empty() const { return count_ == 0; }
  // REQUIRES: !empty().
  double Value() const {
    if (incremental_) return sum_.sum + sum_.compensation;
    return sum_.sum / count_ + sum_.compensation / count_;
  }

 private:
  KahanSum sum_;
  double count_ = 0;
  bool incremental_ = false;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_KAHAN_H_
