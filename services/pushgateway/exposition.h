#ifndef NARTHEX_SERVICES_PUSHGATEWAY_EXPOSITION_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_EXPOSITION_H_

#include <string>
#include <vector>

#include "services/pushgateway/consistency.h"
#include "services/pushgateway/metric_store.h"

namespace narthex::pushgateway {

// Appends what a scrape sees, in the text format 0.0.4: the process's own families and the pushed
// ones, each name once and in order. The help of our own families wins, else that of the oldest
// group that has one. A pushed family whose type is not that of our own of the same name is left
// out.
void WriteExposition(const OwnFamilies& own, const std::vector<MergedFamily>& pushed,
                     std::string* out);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_EXPOSITION_H_
