#ifndef NARTHEX_SERVICES_QUERY_PROMQL_WINDOW_PLACEMENT_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_WINDOW_PLACEMENT_H_

#include <cstddef>
#include <span>
#include <vector>

#include "services/query/promql/operator.h"

namespace narthex::promql {

// Samples [begin, end) of a series belong to the window of one step. Both bounds never go back from
// step to step.
struct Window {
  size_t begin = 0;
  size_t end = 0;
  size_t size() const { return end - begin; }
};

// Finds the samples of each window, in time linear in samples and steps; the sum of their numbers.
// Anchored and smoothed ranges get the neighbours that they look at as well.
size_t PlaceWindows(const WindowSpec& spec, std::span<const Timestamp> timestamps,
                    std::vector<Window>* windows);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_WINDOW_PLACEMENT_H_
