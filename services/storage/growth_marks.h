#ifndef NARTHEX_SERVICES_STORAGE_GROWTH_MARKS_H_
#define NARTHEX_SERVICES_STORAGE_GROWTH_MARKS_H_

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "lib/base/mutex.h"

namespace narthex::storage_service {

// Remembers what the greatest series reference was, minute by minute for an hour: references are
// given in order, so those above an old mark are the series that were made since. Costs the series
// nothing.
//
// Thread safety: all methods may be called from any thread.
class GrowthMarks {
 public:
  static constexpr absl::Duration kWindow = absl::Hours(1);
  static constexpr absl::Duration kInterval = absl::Minutes(1);

  struct Mark {
    absl::Duration at;
    uint64_t reference = 0;
  };

  // Whether it is time for a mark. `now` is monotonic.
  bool Due(absl::Duration now) const;
  void Add(absl::Duration now, uint64_t reference);
  // The oldest mark that is not older than the window by more than an interval. REQUIRES: there
  // was an Add().
  Mark Oldest(absl::Duration now) const;
  bool empty() const;

 private:
  mutable Mutex mu_;
  std::deque<Mark> marks_ ABSL_GUARDED_BY(mu_);  // Oldest first.
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_GROWTH_MARKS_H_
