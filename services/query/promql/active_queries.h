#ifndef NARTHEX_SERVICES_QUERY_PROMQL_ACTIVE_QUERIES_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_ACTIVE_QUERIES_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/io/shared_file.h"

namespace narthex::promql {

// The running queries, written down in a file that outlives a crash, so that the next start can say
// which query may have ended the process. The file `queries.active` is upstream's: "[", then a slot
// of 1,000 bytes a running query, with {"query":…,"timestamp_sec":…}, zeros, and a comma as its
// last byte; a free slot is zeros. Longer queries are cut.
//
// Thread safety: all methods may be called from any thread.
class ActiveQueries {
 public:
  // What an earlier process left behind, as upstream logs it (a JSON array); "" when there is
  // nothing.
  static std::string ReadUnfinished(io::FileSystem* file_system, const std::string& directory);

  // Makes the directory and a fresh file with a slot for each of `slots` queries.
  static absl::StatusOr<std::unique_ptr<ActiveQueries>> Create(io::FileSystem* file_system,
                                                               const std::string& directory,
                                                               int slots, Clock* clock);

  // Writes a query down until the number is handed to Remove(). A query that finds no free slot is
  // not written down.
  int Insert(std::string_view query);
  void Remove(int slot);

 private:
  ActiveQueries(std::unique_ptr<io::SharedFile> file, int slots, Clock* clock);

  Clock* const clock_;
  const std::unique_ptr<io::SharedFile> file_;
  Mutex mu_;
  std::vector<int> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_ACTIVE_QUERIES_H_
