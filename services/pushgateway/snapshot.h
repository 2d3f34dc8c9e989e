#ifndef NARTHEX_SERVICES_PUSHGATEWAY_SNAPSHOT_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_SNAPSHOT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/pushgateway/metric_store.h"

// The file that keeps the groups across restarts; its bytes are described in format.md. Pure
// functions.
namespace narthex::pushgateway {

std::string EncodeSnapshot(std::vector<Group> groups);
// DataLoss that says what is wrong when the bytes are not a whole, undamaged snapshot.
absl::StatusOr<std::vector<Group>> DecodeSnapshot(std::string_view bytes);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_SNAPSHOT_H_
