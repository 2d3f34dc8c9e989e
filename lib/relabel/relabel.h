#ifndef NARTHEX_LIB_RELABEL_RELABEL_H_
#define NARTHEX_LIB_RELABEL_RELABEL_H_

#include <optional>
#include <span>

#include "lib/labels/labels.h"
#include "lib/labels/labels_builder.h"
#include "lib/relabel/relabel_config.h"

// Applies relabelling rules to a label set, with upstream's semantics. Pure functions: thread-safe
// as long as nobody else uses the same builder.
namespace narthex::relabel {

// Applies `rules` in order to *labels. False as soon as a rule drops the set; *labels is then
// whatever it was at that point. REQUIRES: every rule has passed Validate().
bool Process(std::span<const RelabelConfig> rules, LabelsBuilder* labels);

// The same on a finished set; nothing when it is dropped.
std::optional<Labels> Process(std::span<const RelabelConfig> rules, const Labels& labels);

}  // namespace narthex::relabel

#endif  // NARTHEX_LIB_RELABEL_RELABEL_H_
