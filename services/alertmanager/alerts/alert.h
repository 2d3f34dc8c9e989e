#ifndef NARTHEX_SERVICES_ALERTMANAGER_ALERTS_ALERT_H_
#define NARTHEX_SERVICES_ALERTMANAGER_ALERTS_ALERT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/labels/labels.h"

namespace narthex::alerts {

// Sorted by name. Annotations may be empty texts, which Labels cannot hold.
using Annotations = std::vector<std::pair<std::string, std::string>>;

// An alert as the store, the groups and the notifications know it. Immutable once shared.
struct Alert {
  Labels labels;  // Its identity.
  Annotations annotations;
  absl::Time starts_at = absl::InfinitePast();
  // When it ends or ended; InfiniteFuture() in notifications of firing alerts, where upstream has
  // the zero time.
  absl::Time ends_at = absl::InfiniteFuture();
  absl::Time updated_at = absl::InfinitePast();
  // ends_at is a guess of ours (resolve_timeout), because the sender did not say.
  bool timeout = false;
  std::string generator_url;

  bool ResolvedAt(absl::Time now) const { return ends_at <= now; }
  uint64_t fingerprint() const { return labels.Fingerprint(); }
};
using AlertPtr = std::shared_ptr<const Alert>;

// Two reports of one alert whose times overlap, as one: the younger report's content, the earliest
// start, and the end that is known best. `now` decides what is resolved.
Alert Merge(const Alert& a, const Alert& b, absl::Time now);

// 16 lower-case hexadecimal digits.
std::string FingerprintText(uint64_t fingerprint);
// The hash of an alert in the notification log: XXH64 over name 0xff value 0xff ….
uint64_t AlertHash(const Labels& labels);
// model.LabelSet.String(): {alertname="X", job="y"}, values quoted as Go does. Part of group keys.
std::string LabelSetText(const Labels& labels);
// model.LabelSet.Before(): smaller sets first, then name by name.
bool LabelSetLess(const Labels& a, const Labels& b);
// The order of alerts in a notification: by job, by instance, then by all labels.
void SortForNotification(std::vector<AlertPtr>* alerts);

}  // namespace narthex::alerts

#endif  // NARTHEX_SERVICES_ALERTMANAGER_ALERTS_ALERT_H_
