#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_NATIVE_HISTOGRAM_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_NATIVE_HISTOGRAM_H_

#include "absl/status/statusor.h"
#include "lib/model/histogram.h"
#include "services/storage/remote/otlp/request.h"

// OTLP's histograms as native histograms. All functions are pure and thread-safe.
namespace narthex::otlp {

// Scales above 8 are reduced to 8 by joining buckets; below -4 is InvalidArgument.
absl::StatusOr<Histogram> FromExponential(const Request& request, const Point& point);

// An explicit histogram with its bounds as custom buckets.
Histogram FromExplicit(const Request& request, const Point& point);

}  // namespace narthex::otlp

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_NATIVE_HISTOGRAM_H_
