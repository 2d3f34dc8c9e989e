#ifndef NARTHEX_SERVICES_QUERY_PROMQL_QUERY_LOG_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_QUERY_LOG_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/json/writer.h"
#include "lib/model/timestamp.h"
#include "services/query/promql/value.h"

namespace narthex::promql {

// Who asked: a request of the API, or a rule. Empty where it does not apply.
struct QueryOrigin {
  std::string client_ip;
  std::string method;
  std::string path;
  std::string rule_file;
  std::string rule_group;
};

struct QueryLogEntry {
  absl::Time time;
  std::string_view query;
  Timestamp start = 0;
  Timestamp end = 0;
  int64_t step_ms = 0;
  absl::Status status;
  const QueryStats* stats = nullptr;
  const QueryOrigin* origin = nullptr;
};

// {"timings":{…},"samples":{…}}, as the API and the query log show it; the samples of each step
// where they were counted.
void WriteQueryStats(const QueryStats& stats, json::Writer* writer);

// global.query_log_file: one line of JSON a query, as upstream writes it. Thread safety: all
// methods may be called from any thread.
class QueryLog {
 public:
  static absl::StatusOr<std::unique_ptr<QueryLog>> Open(io::FileSystem* file_system,
                                                        const std::string& path);
  absl::Status Write(const QueryLogEntry& entry);

 private:
  explicit QueryLog(std::unique_ptr<io::WritableFile> file) : file_(std::move(file)) {}
  Mutex mu_;
  const std::unique_ptr<io::WritableFile> file_ ABSL_PT_GUARDED_BY(mu_);
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_QUERY_LOG_H_
