#ifndef NARTHEX_LIB_IO_DIRECTORY_WATCHER_H_
#define NARTHEX_LIB_IO_DIRECTORY_WATCHER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/base/thread.h"

namespace narthex::io {

// Says when something in a directory has changed: a file was written and closed, created, renamed
// or deleted. Built on inotify, so it sees neither network file systems nor a directory that takes
// the place of a watched one; callers also look from time to time, and call Watch again when they
// do.
//
// Thread safety: all methods may be called from any thread.
class DirectoryWatcher {
 public:
  // `on_change` runs on the watcher's own thread, once for a burst of changes, and must not block.
  static absl::StatusOr<std::unique_ptr<DirectoryWatcher>> Create(std::function<void()> on_change);
  ~DirectoryWatcher();
  DirectoryWatcher(const DirectoryWatcher&) = delete;
  DirectoryWatcher& operator=(const DirectoryWatcher&) = delete;

  // Watches the directory, though not those below it. Again for the same one does nothing. NotFound
  // when there is none.
  absl::Status Watch(const std::string& directory);

 private:
  DirectoryWatcher(int inotify_fd, int stop_fd, std::function<void()> on_change);
  void Loop();

  // Constant after construction.
  const int inotify_fd_;
  const int stop_fd_;  // Readable: stop.
  const std::function<void()> on_change_;
  Thread thread_;
};

}  // namespace narthex::io

#endif  // NARTHEX_LIB_IO_DIRECTORY_WATCHER_H_
