#ifndef NARTHEX_SERVICES_ALERTMANAGER_CONFIG_PRINT_H_
#define NARTHEX_SERVICES_ALERTMANAGER_CONFIG_PRINT_H_

#include <string>

#include "services/alertmanager/config/config.h"

namespace narthex::alertmanager_config {

// The configuration as YAML in upstream's form, defaults filled in and secrets hidden: what the
// status API and `amtool config show` print. It reads back.
std::string PrintConfig(const Config& config);

}  // namespace narthex::alertmanager_config

#endif  // NARTHEX_SERVICES_ALERTMANAGER_CONFIG_PRINT_H_
