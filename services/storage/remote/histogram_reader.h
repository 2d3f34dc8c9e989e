#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_HISTOGRAM_READER_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_HISTOGRAM_READER_H_

#include <string_view>

#include "absl/status/status.h"
#include "lib/model/timestamp.h"
#include "lib/storage/append_batch.h"

namespace narthex::storage_remote {

// Reads a Histogram message of remote write (1.0 and 2.0 have the same, but for the start
// timestamp) into `entry`, whose index is the caller's. InvalidArgument names the field that is
// malformed. What the numbers mean together is not looked at.
absl::Status ReadHistogram(std::string_view message, Timestamp* timestamp,
                           Timestamp* start_timestamp, storage::AppendBatch::HistogramEntry* entry);

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_HISTOGRAM_READER_H_
