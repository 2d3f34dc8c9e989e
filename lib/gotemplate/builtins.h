#ifndef NARTHEX_LIB_GOTEMPLATE_BUILTINS_H_
#define NARTHEX_LIB_GOTEMPLATE_BUILTINS_H_

#include <string>
#include <string_view>

#include "lib/gotemplate/template_set.h"

// The functions that every Go template has.
namespace narthex::gotemplate {

const Function* FindBuiltin(std::string_view name);  // Null when there is none.

// `and` and `or` are builtins too, but stop at the argument that decides; the executor calls them
// itself.
bool IsShortCircuit(const Function* function);
// `call`, whose error shows the source of its operand.
bool IsCall(const Function* function);

std::string EscapeHtml(std::string_view text);   // Go's template.HTMLEscapeString.
std::string EscapeJs(std::string_view text);     // Go's template.JSEscapeString.
std::string EscapeQuery(std::string_view text);  // Go's url.QueryEscape.
// Go's url.QueryUnescape; false on a malformed escape, with Go's message in *out.
bool UnescapeQuery(std::string_view text, std::string* out);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_BUILTINS_H_
