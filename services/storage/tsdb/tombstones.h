#ifndef NARTHEX_SERVICES_STORAGE_TSDB_TOMBSTONES_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_TOMBSTONES_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/storage/select_frame.h"

namespace narthex::tsdb {

// Adds an interval to sorted ones that do not touch, and keeps them so: intervals that overlap or
// are a millisecond apart become one.
void AddInterval(std::vector<storage::DeletedInterval>* intervals,
                 storage::DeletedInterval interval);

// Whether one of the sorted intervals covers all of min_time…max_time (both inclusive).
bool CoveredBy(const std::vector<storage::DeletedInterval>& intervals, Timestamp min_time,
               Timestamp max_time);

// The deleted intervals of series, by the number of the series in the block (or its reference in
// the head). Thread safety: as a standard container.
class Tombstones {
 public:
  void Add(uint64_t series, storage::DeletedInterval interval);
  // Sorted, apart; empty when there are none.
  const std::vector<storage::DeletedInterval>& Of(uint64_t series) const;
  uint64_t size() const;  // Intervals.
  bool empty() const { return by_series_.empty(); }
  const std::map<uint64_t, std::vector<storage::DeletedInterval>>& all() const {
    return by_series_;
  }

 private:
  std::map<uint64_t, std::vector<storage::DeletedInterval>> by_series_;
};

// The bytes of a block's tombstones file; the layout is in tombstones.md.
std::string EncodeTombstones(const Tombstones& tombstones);
// DataLoss with the cause when the bytes are no such file.
absl::StatusOr<Tombstones> DecodeTombstones(std::string_view bytes);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_TOMBSTONES_H_
