#ifndef NARTHEX_SERVICES_PUSHGATEWAY_GROUPING_KEY_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_GROUPING_KEY_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace narthex::pushgateway {

// The labels that name a group, job among them, by name. Values may be empty: {job="j"} and
// {job="j", instance=""} are two groups.
using GroupingKey = std::map<std::string, std::string, std::less<>>;

// Whether a pushed metric or a group may have a label of this name: [a-zA-Z_][a-zA-Z0-9_]*, not
// beginning with "__".
bool IsProperLabelName(std::string_view name);

// The grouping key behind the part of a push path that follows "/metrics/":
// "job/<job>{/<label>/<value>}", already unescaped. A name ending in "@base64" says that its value
// is URL-safe base64 with or without padding. InvalidArgument with upstream's text; NotFound when
// the path is no push path.
absl::StatusOr<GroupingKey> ParseGroupingPath(std::string_view path);

// Checks a grouping key that came as labels: job is there and not empty, names are proper.
// Upstream's texts.
absl::Status ValidateGroupingKey(const GroupingKey& key);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_GROUPING_KEY_H_
