#ifndef NARTHEX_LIB_DISCOVERY_FILE_H_
#define NARTHEX_LIB_DISCOVERY_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/config/sd_config.h"
#include "lib/discovery/discoverer.h"
#include "lib/io/directory_watcher.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"

namespace narthex::discovery {

// What a discoverer works with. The pointers must outlive it.
struct DiscovererContext {
  Clock* clock = nullptr;
  io::FileSystem* file_system = nullptr;
  Logger logger;
  metrics::Registry* registry = nullptr;
};

// Reads target groups from files. Looks when a directory of its patterns changes, and every
// refresh_interval in any case. A file that cannot be read or is bad keeps its last good groups;
// one that is gone takes its groups with it. Groups are named "path:index" and carry
// __meta_filepath.
//
// Thread safety: Run on one thread, Stop on any.
class FileDiscoverer : public Discoverer {
 public:
  FileDiscoverer(config::FileSdConfig config, DiscovererContext context);

  void Run(const UpdateCallback& update) override;
  void Stop() override;

 private:
  // What is known of one file.
  struct KnownFile {
    uint64_t hash = 0;       // Of the bytes that were last read well.
    size_t group_count = 0;  // Reported, as path:0 to path:group_count-1.
  };

  // Reads every file and returns the groups that changed.
  std::vector<TargetGroup> Refresh();
  void ReadInto(const std::string& path, std::vector<TargetGroup>* changed);
  std::vector<std::string> MatchingPaths();
  void StartWatching();
  void WatchDirectories();

  // Constant after construction.
  const config::FileSdConfig config_;
  const absl::Duration refresh_interval_;  // The default one where zero is configured.
  const DiscovererContext context_;
  metrics::Counter* const read_errors_;
  metrics::Counter* const watcher_errors_;
  metrics::Summary* const scan_seconds_;

  // Only touched by Run.
  std::map<std::string, KnownFile> files_;

  Mutex mu_;
  CondVar wake_cv_;
  bool changed_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;

  // Last: its thread calls into the fields above. Only touched by Run, and null when inotify is not
  // to be had.
  std::unique_ptr<io::DirectoryWatcher> watcher_;
};

}  // namespace narthex::discovery

#endif  // NARTHEX_LIB_DISCOVERY_FILE_H_
