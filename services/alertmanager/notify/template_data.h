#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TEMPLATE_DATA_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TEMPLATE_DATA_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/gotemplate/value.h"
#include "lib/labels/labels.h"
#include "services/alertmanager/notify/notification.h"

namespace narthex::notify {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What a notification says about its alerts: the data of templates and of the webhook's payload.
struct NotificationData {
  std::string receiver;  // With the characters of regular expressions escaped, as upstream has it.
  std::string status;    // "firing" when any alert fires, else "resolved".
  std::vector<alerts::AlertPtr> alerts;
  std::string reason;
  Pairs group_labels;
  Pairs common_labels;  // Equal on all alerts.
  Pairs common_annotations;
  std::string external_url;
};

NotificationData MakeData(const Notification& notification, Reason reason,
                          const std::vector<alerts::AlertPtr>& alerts,
                          std::string_view external_url);

// The same as a template sees it: {{ .Alerts.Firing }}, {{ .CommonLabels.SortedPairs }}, ….
gotemplate::Value ToTemplateValue(const NotificationData& data);

// Go's regexp.QuoteMeta.
std::string QuoteMeta(std::string_view text);

// Go's encoding/json of a template value; appends to *out. False for what JSON cannot hold
// (infinities, complex numbers).
bool AppendJson(std::string* out, const gotemplate::Value& value);

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TEMPLATE_DATA_H_
