#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "lib/gotemplate/prometheus_functions.h"

// Parses arbitrary bytes as a rule template and, when they are one, executes it under tight bounds.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using narthex::gotemplate::LabelPairs;
  using narthex::gotemplate::QuerySample;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  narthex::gotemplate::TemplateSet set(&narthex::gotemplate::RuleFunctions());
  if (!set.Parse("fuzz", text).ok()) return 0;
  narthex::gotemplate::RuleEnvironment environment;
  environment.time = absl::FromUnixSeconds(1'700'000'000);
  environment.external_url = "http://host/prefix";
  environment.query = [](std::string_view, absl::Time) -> absl::StatusOr<std::vector<QuerySample>> {
    return std::vector<QuerySample>{{LabelPairs{{"a", "b"}}, 1}, {LabelPairs{{"a", "c"}}, 2.5}};
  };
  narthex::gotemplate::Limits limits;
  limits.output_bytes_max = size_t{1} << 16;
  limits.steps_max = 20'000;
  const auto dot = narthex::gotemplate::Value::MakeMap(
      {{"Labels", narthex::gotemplate::Value::MakeStringMap({{"job", "x"}, {"y", "z"}})},
       {"Value", narthex::gotemplate::Value::Float(1.5)},
       {"Names", narthex::gotemplate::Value::MakeStrings({"a", "b"})},
       {"At", narthex::gotemplate::Value::Time({absl::FromUnixSeconds(1'700'000'000)})},
       {"For", narthex::gotemplate::Value::Duration(absl::Minutes(5))}});
  const auto output = set.Execute("fuzz", dot, environment, limits);
  if (output.ok()) NARTHEX_CHECK(output->size() <= limits.output_bytes_max);
  return 0;
}
