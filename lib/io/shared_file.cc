#include "lib/io/shared_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/strings.h"

namespace narthex::io {
namespace {

absl::Status Failed(std::string_view operation, const std::string& path) {
  char buffer[128];
  return Internal(operation, " ", path, ": ", strerror_r(errno, buffer, sizeof buffer));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SharedFile>> SharedFile::Create(const std::string& path,
                                                               size_t size) {
  // A new file, as cutting one that another process has mapped would end that process.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Failed("remove", path);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return Failed("create", path);
  // The blocks are taken now: a full disk is an error here and not a SIGBUS at some store.
  if (const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(size)); error != 0) {
    errno = error;
    absl::Status status = Failed("allocate", path);
    ::close(fd);
    return status;
  }
  void* const data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  absl::Status status = data == MAP_FAILED ? Failed("map", path) : absl::OkStatus();
  ::close(fd);
  if (!status.ok()) return status;
  return std::unique_ptr<SharedFile>(new SharedFile(static_cast<char*>(data), size));
}

SharedFile::~SharedFile() { ::munmap(data_, size_); }

}  // namespace narthex::io
