#ifndef NARTHEX_LIB_RPC_REMOTE_APPENDER_H_
#define NARTHEX_LIB_RPC_REMOTE_APPENDER_H_

#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/storage/storage.h"

namespace narthex::rpc {

// Makes Appenders that write to every storage endpoint over Append; the query service's rules use
// it.
//
// Commit() puts the transaction into a queue in memory and waits until every endpoint that is
// connected has accepted it (it is then visible to Select there), at most 5 s. What an endpoint has
// not acknowledged stays queued and reaches it in order when it is back: at most 64 MiB, then the
// oldest transactions are dropped, counted (narthex_append_queue_dropped_samples_total) and logged.
// So an OK says *stored or queued*; the one error is ResourceExhausted for a transaction larger
// than the queue. Refused samples are counted, not returned: Append() always answers kNone.
// Destroying the factory loses what is still queued, after a wait of up to 1 s.
//
// Thread safety: New() may be called from any thread, and Appenders of different threads run beside
// each other; one Appender belongs to one thread. Appenders must not outlive the factory.
class RemoteAppenderFactory {
 public:
  // Connects in the background. `registry` must outlive the factory.
  RemoteAppenderFactory(const std::vector<std::string>& endpoints, Logger logger,
                        metrics::Registry* registry, Clock* clock);
  ~RemoteAppenderFactory();
  RemoteAppenderFactory(const RemoteAppenderFactory&) = delete;
  RemoteAppenderFactory& operator=(const RemoteAppenderFactory&) = delete;

  std::unique_ptr<storage::Appender> New();

 private:
  class Queue;
  class Transaction;
  std::unique_ptr<Queue> queue_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_REMOTE_APPENDER_H_
