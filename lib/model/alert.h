#ifndef NARTHEX_LIB_MODEL_ALERT_H_
#define NARTHEX_LIB_MODEL_ALERT_H_

#include <string>

#include "absl/time/time.h"
#include "lib/labels/labels.h"

namespace narthex {

// An alert as it travels from whoever raises it to an Alertmanager. The label set is its identity.
struct Alert {
  Labels labels;
  Labels annotations;
  // InfiniteFuture() in either field means "not set": the receiver then fills in its own.
  absl::Time starts_at = absl::InfiniteFuture();
  absl::Time ends_at = absl::InfiniteFuture();
  std::string generator_url;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_ALERT_H_
