#ifndef NARTHEX_LIB_GOTEMPLATE_PARSER_H_
#define NARTHEX_LIB_GOTEMPLATE_PARSER_H_

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/gotemplate/node.h"

namespace narthex::gotemplate {

// Parses one text into its trees: the templates that it defines, in the order in which Go adds
// them, the text itself last. `find_function` gives null for a name that is no function. The
// grammar is Go 1.23's ("else with" included); errors are Go's, "template: name:line: message".
absl::StatusOr<std::vector<std::unique_ptr<Tree>>> ParseTemplate(
    std::string_view name, std::string_view text,
    const std::function<const Function*(std::string_view)>& find_function);

// Go's strconv.Unquote for '"', '`' and (one rune) '\''; false when it is malformed.
bool Unquote(std::string_view quoted, std::string* out);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_PARSER_H_
