#include <string_view>

#include "lib/service/service.h"

namespace narthex::service {

std::string_view Version() { return NARTHEX_VERSION; }
std::string_view Revision() { return NARTHEX_REVISION; }

}  // namespace narthex::service
