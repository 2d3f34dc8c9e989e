#ifndef NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TEMPLATES_H_
#define NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TEMPLATES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/gotemplate/template_set.h"
#include "services/alertmanager/notify/template_data.h"

namespace narthex::notify {

// The functions of notification templates: title, join, match, date, tz, dict, ….
const gotemplate::FunctionTable& NotificationFunctions();

// The named templates that users may override ("slack.default.title", "__subject", …).
std::string_view DefaultTemplates();

// The templates of one configuration: the defaults and the user's files over them. Immutable after
// loading; thread-safe.
class Templates {
 public:
  explicit Templates(Clock* clock);

  // Adds a file; what it defines replaces what is there.
  absl::Status AddFile(std::string_view name, std::string_view text);
  // Expands a text that may use every named template. A text without an action costs nothing.
  absl::StatusOr<std::string> Expand(std::string_view text, const gotemplate::Value& data) const;

 private:
  Clock* const clock_;
  gotemplate::TemplateSet set_;
};

}  // namespace narthex::notify

#endif  // NARTHEX_SERVICES_ALERTMANAGER_NOTIFY_TEMPLATES_H_
