#ifndef NARTHEX_LIB_STORAGE_HISTOGRAM_APPENDER_H_
#define NARTHEX_LIB_STORAGE_HISTOGRAM_APPENDER_H_

#include "lib/labels/labels.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"
#include "lib/storage/storage.h"

namespace narthex::storage {

// What an Appender that takes native histograms is besides. Histograms belong to the transaction
// and are refused as its numbers are. Thread safety: none.
class HistogramAppender {
 public:
  virtual ~HistogramAppender() = default;
  virtual Refusal AppendHistogram(const Labels& labels, Timestamp timestamp,
                                  const FloatHistogram& histogram) = 0;
};

// Appends to `appender`; kInvalidHistogram when it takes no histograms.
inline Refusal AppendHistogram(Appender* appender, const Labels& labels, Timestamp timestamp,
                               const FloatHistogram& histogram) {
  auto* const taker = dynamic_cast<HistogramAppender*>(appender);
  if (taker == nullptr) return Refusal::kInvalidHistogram;
  return taker->AppendHistogram(labels, timestamp, histogram);
}

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_HISTOGRAM_APPENDER_H_
