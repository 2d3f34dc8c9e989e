#include <utility>

#include "lib/base/regex.h"
#include "lib/base/utf8.h"
#include "lib/labels/labels_builder.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

bool IsLabelName(std::string_view name) { return !name.empty() && IsValidUtf8(name); }

void SetLabel(Row* row, const std::string& name, const std::string& value, LabelsBuilder* builder) {
  builder->Reset(row->labels);
  builder->Set(name, value);
  row->labels = builder->Build();
  if (name == kMetricName) row->drop_name = false;
}

}  // namespace

VectorOperatorPtr MakeLabelReplace(EvalContext* context, VectorOperatorPtr child,
                                   LabelReplaceArguments arguments) {
  absl::StatusOr<Regex> regex = Regex::Compile(arguments.regex);
  if (!regex.ok()) {
    context->Error("invalid regular expression in label_replace(): ", arguments.regex);
    return nullptr;
  }
  if (!IsLabelName(arguments.destination)) {
    context->Error("invalid destination label name in label_replace(): ", arguments.destination);
    return nullptr;
  }
  auto builder = std::make_shared<LabelsBuilder>();
  return MakeMerge(
      context, MakeRowMap(context, std::move(child), {},
                          [arguments = std::move(arguments), regex = *std::move(regex), builder](
                              Row* row, std::span<const std::vector<double>>) {
                            const std::optional<std::string> value = regex.MatchAndExpand(
                                row->labels.Get(arguments.source), arguments.replacement);
                            if (value.has_value()) {
                              SetLabel(row, arguments.destination, *value, builder.get());
                            }
                          }));
}

VectorOperatorPtr MakeLabelJoin(EvalContext* context, VectorOperatorPtr child,
                                std::string destination, std::string separator,
                                std::vector<std::string> sources) {
  for (const std::string& source : sources) {
    if (!IsLabelName(source)) {
      context->Error("invalid source label name in label_join(): ", source);
      return nullptr;
    }
  }
  if (!IsLabelName(destination)) {
    context->Error("invalid destination label name in label_join(): ", destination);
    return nullptr;
  }
  auto builder = std::make_shared<LabelsBuilder>();
  return MakeMerge(
      context, MakeRowMap(context, std::move(child), {},
                          [destination = std::move(destination), separator = std::move(separator),
                           sources = std::move(sources),
                           builder](Row* row, std::span<const std::vector<double>>) {
                            std::string joined;
                            for (size_t i = 0; i < sources.size(); ++i) {
                              if (i > 0) joined += separator;
                              joined += row->labels.Get(sources[i]);
                            }
                            SetLabel(row, destination, joined, builder.get());
                          }));
}

}  // namespace narthex::promql
