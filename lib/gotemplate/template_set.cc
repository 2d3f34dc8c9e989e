#include "lib/gotemplate/template_set.h"

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/gotemplate/builtins.h"
#include "lib/gotemplate/exec.h"
#include "lib/gotemplate/parser.h"

namespace narthex::gotemplate {

FunctionTable::FunctionTable(std::vector<Function> functions) {
  for (Function& function : functions) {
    const std::string_view name = function.name;
    functions_.emplace(name, std::move(function));
  }
}

const Function* FunctionTable::Find(std::string_view name) const {
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : &found->second;
}

absl::Status TemplateSet::Parse(std::string_view name, std::string_view text) {
  const auto find_function = [this](std::string_view function_name) {
    const Function* function = functions_->Find(function_name);
    return function != nullptr ? function : FindBuiltin(function_name);
  };
  NARTHEX_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Tree>> trees,
                           ParseTemplate(name, text, find_function));
  for (std::unique_ptr<Tree>& tree : trees) {
    std::shared_ptr<const Tree>& slot = trees_[tree->name];
    if (slot != nullptr && tree->IsEmpty()) continue;
    slot = std::move(tree);
  }
  return absl::OkStatus();
}

bool TemplateSet::Has(std::string_view name) const { return trees_.find(name) != trees_.end(); }

absl::StatusOr<std::string> TemplateSet::Execute(std::string_view name, const Value& dot,
                                                 const Environment& environment,
                                                 const Limits& limits) const {
  const auto found = trees_.find(name);
  if (found == trees_.end()) {
    return InvalidArgument("template: no template ", Quote(name), " associated with template ",
                           Quote(""));
  }
  return Executor(*this, environment, limits).Run(*found->second, dot);
}

}  // namespace narthex::gotemplate
