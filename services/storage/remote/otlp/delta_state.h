#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_DELTA_STATE_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_DELTA_STATE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/hash.h"
#include "lib/base/mutex.h"
#include "services/storage/remote/otlp/request.h"

namespace narthex::otlp {

// The running totals of sums and histograms that come as differences (delta temporality). A stream
// is what has the same resource, scope, metric and attributes. Totals live in memory: a restart
// begins anew, which readers see as a counter reset, and so does a stream that rests for an hour.
//
// Thread safety: all methods may be called from any thread.
class DeltaState {
 public:
  explicit DeltaState(size_t streams_max = size_t{1} << 20);

  struct Result {
    uint64_t dropped_points = 0;
    std::string reason;  // Of the last one.
  };
  // Puts totals in place of the differences of all metrics of delta temporality, which are
  // cumulative then. A point that is not newer than its stream is marked as dropped, and so is one
  // of a new stream beyond the limit.
  Result ToCumulative(Request* request);

  size_t streams() const;

 private:
  struct Stream {
    uint64_t start_ns = 0;
    uint64_t time_ns = 0;
    double value = 0;
    uint64_t count = 0;
    double sum = 0;
    std::vector<double> bounds;
    std::vector<uint64_t> counts;
    int32_t scale = 0;
    double zero_threshold = 0;
    uint64_t zero_count = 0;
    std::map<int64_t, uint64_t> positive;
    std::map<int64_t, uint64_t> negative;
  };
  struct KeyHash {
    size_t operator()(const Hash128& key) const { return key.low; }
  };

  Stream* FindStreamLocked(const Hash128& key, const Point& point, Result* result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropRestingLocked(uint64_t time_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void AddExplicit(Request* request, Point* point, Stream* stream);
  static void AddExponential(Request* request, Point* point, Stream* stream);
  static void Rescale(Stream* stream, int32_t scale);

  // Constant after construction.
  const size_t streams_max_;
  const uint64_t seed_;

  mutable Mutex mu_;
  absl::flat_hash_map<Hash128, Stream, KeyHash> streams_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::otlp

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_DELTA_STATE_H_
