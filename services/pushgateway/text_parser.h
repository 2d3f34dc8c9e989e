#ifndef NARTHEX_SERVICES_PUSHGATEWAY_TEXT_PARSER_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_TEXT_PARSER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "services/pushgateway/metric_family.h"

namespace narthex::pushgateway {

// Reads a pushed body in the text format 0.0.4 into whole families, by the rules of upstream's push
// path, which differ from those of a scrape: lines of a family may stand apart, a second HELP or a
// late TYPE is an error, and the last line must end. Families without metrics are left out.
// InvalidArgument with upstream's text ("text format parsing error in line 1: …").
//
// Why not lib/textparse: that yields series, and a scrape's rules and error texts; who pushes sees
// these.
absl::StatusOr<FamilyMap> ParsePushedText(std::string_view body);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_TEXT_PARSER_H_
