#include "lib/io/directory_watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/strings.h"

namespace narthex::io {

absl::StatusOr<std::unique_ptr<DirectoryWatcher>> DirectoryWatcher::Create(
    std::function<void()> on_change) {
  const int inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify_fd < 0) return Internal("inotify_init: ", std::strerror(errno));
  const int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd < 0) {
    const absl::Status error = Internal("eventfd: ", std::strerror(errno));
    close(inotify_fd);
    return error;
  }
  return std::unique_ptr<DirectoryWatcher>(
      new DirectoryWatcher(inotify_fd, stop_fd, std::move(on_change)));
}

DirectoryWatcher::DirectoryWatcher(int inotify_fd, int stop_fd, std::function<void()> on_change)
    : inotify_fd_(inotify_fd), stop_fd_(stop_fd), on_change_(std::move(on_change)) {
  thread_ = Thread("dir-watch", [this] { Loop(); });
}

DirectoryWatcher::~DirectoryWatcher() {
  const uint64_t one = 1;
  // An eventfd that is zero always takes a write.
  [[maybe_unused]] const ssize_t written = write(stop_fd_, &one, sizeof(one));
  thread_.Join();
  close(stop_fd_);
  close(inotify_fd_);
}

absl::Status DirectoryWatcher::Watch(const std::string& directory) {
  // Not IN_MODIFY: a file that is being written is not worth reading yet.
  constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                               IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  if (inotify_add_watch(inotify_fd_, directory.c_str(), kEvents) >= 0) return absl::OkStatus();
  const int error = errno;
  const std::string reason = StrCat("watch ", directory, ": ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return NotFound(reason);
  if (error == ENOSPC) return ResourceExhausted(reason, " (fs.inotify.max_user_watches)");
  return Internal(reason);
}

void DirectoryWatcher::Loop() {
  while (true) {
    std::array<pollfd, 2> fds = {
        {{.fd = stop_fd_, .events = POLLIN}, {.fd = inotify_fd_, .events = POLLIN}}};
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    bool changed = false;
    std::array<char, 4096> events;
    while (read(inotify_fd_, events.data(), events.size()) > 0) changed = true;
    if (changed) on_change_();
  }
}

}  // namespace narthex::io
