#include "services/query/promql/histogram_rate.h"

namespace narthex::promql {

std::optional<FloatHistogram> InterpolateHistograms(const AnnotationSite& site,
                                                    const HistogramPoint& before,
                                                    const HistogramPoint& after, Timestamp time,
                                                    bool counter) {
  if (time == before.time) return *before.histogram;
  if (time == after.time) return *after.histogram;
  const double fraction =
      static_cast<double>(time - before.time) / static_cast<double>(after.time - before.time);
  if (counter && DetectReset(*after.histogram, *before.histogram)) {
    return Multiply(*after.histogram, fraction);
  }
  HistogramSum between(*after.histogram);
  if (!NoteOutcome(site, between.Sub(*before.histogram), kHistogramSubtraction)) {
    return std::nullopt;
  }
  between.Scale(fraction);
  NoteOutcome(site, between.Add(*before.histogram), kHistogramAddition);
  return between.Result();
}

bool IsStartTimestampReset(Timestamp previous_start, Timestamp previous, Timestamp start,
                           Timestamp time) {
  // Not set, after the sample, or at it, as OpenTelemetry says that the start is not known.
  if (start == 0 || start >= time) return false;
  if (start != previous) return start > previous;
  // From sample to sample: a delta, unless the start of the one before is unknown or impossible.
  return previous_start != 0 && previous_start < previous;
}

bool IsStartTimestampOverlap(Timestamp previous_start, Timestamp previous, Timestamp start) {
  return start != 0 && start < previous && start != previous_start;
}

}  // namespace narthex::promql
