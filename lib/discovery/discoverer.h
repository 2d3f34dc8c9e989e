#ifndef NARTHEX_LIB_DISCOVERY_DISCOVERER_H_
#define NARTHEX_LIB_DISCOVERY_DISCOVERER_H_

#include <functional>
#include <vector>

#include "lib/base/thread.h"
#include "lib/discovery/target_group.h"

namespace narthex::discovery {

// Receives changed groups of one discoverer. Does not block.
using UpdateCallback = std::function<void(std::vector<TargetGroup>)>;

// One configured mechanism: finds targets and reports them as they change. Made and owned by the
// Manager, which runs it on a thread of its own; errors are logged and counted by the discoverer,
// and the last good groups stay.
class Discoverer {
 public:
  virtual ~Discoverer() = default;
  // Reports groups through `update` until Stop(). The first report comes as soon as the first look
  // has ended, whatever it found.
  virtual void Run(const UpdateCallback& update) = 0;
  // Makes Run return soon. Called once, from another thread, maybe before Run.
  virtual void Stop() = 0;
};

}  // namespace narthex::discovery

#endif  // NARTHEX_LIB_DISCOVERY_DISCOVERER_H_
