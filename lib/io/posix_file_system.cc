#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "lib/base/mutex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/io/file_system.h"

namespace narthex::io {
namespace {

absl::Status ErrnoStatus(std::string_view operation, std::string_view path, int error) {
  char buffer[128];
  std::string cause = strerror_r(error, buffer, sizeof buffer);
  if (!cause.empty() && cause[0] >= 'A' && cause[0] <= 'Z') {
    cause[0] = static_cast<char>(cause[0] - 'A' + 'a');
  }
  const std::string message = StrCat(operation, " ", path, ": ", cause);
  switch (error) {
    case ENOENT:
      return NotFound(message);
    case EEXIST:
      return AlreadyExists(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return ResourceExhausted(message);
    default:
      return Internal(message);
  }
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::StatusOr<FileDescriptor> Open(const std::string& path, int flags) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoStatus("open", path, errno);
  return FileDescriptor(fd);
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, FileDescriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus("write", path_, errno);
      }
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) return ErrnoStatus("sync", path_, errno);
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 ||
        ::lseek(fd_.get(), static_cast<off_t>(size), SEEK_SET) < 0) {
      return ErrnoStatus("truncate", path_, errno);
    }
    return absl::OkStatus();
  }

  absl::Status Close() override {
    const int fd = fd_.Release();
    if (fd >= 0 && ::close(fd) != 0) return ErrnoStatus("close", path_, errno);
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  FileDescriptor fd_;
};

class PosixRandomAccessFile : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, FileDescriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status Read(uint64_t offset, size_t length, std::string* out) const override {
    out->resize(length);
    size_t done = 0;
    while (done < length) {
      const ssize_t got =
          ::pread(fd_.get(), out->data() + done, length - done, static_cast<off_t>(offset + done));
      if (got < 0) {
        if (errno == EINTR) continue;
        out->clear();
        return ErrnoStatus("read", path_, errno);
      }
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    out->resize(done);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) return ErrnoStatus("stat", path_, errno);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  FileDescriptor fd_;
};

// All mapped files of the process, so that their pages can be let go at once.
class Mappings {
 public:
  void Add(void* address, size_t size) {
    MutexLock lock(&mu_);
    sizes_.emplace(address, size);
  }
  void Remove(void* address) {
    MutexLock lock(&mu_);
    sizes_.erase(address);
  }
  void ReleasePages() const {
    MutexLock lock(&mu_);
    // Of a shared mapping nothing is lost; where the kernel refuses, the pages stay.
    for (const auto& [address, size] : sizes_) ::madvise(address, size, MADV_DONTNEED);
  }

 private:
  mutable Mutex mu_;
  std::unordered_map<void*, size_t> sizes_ ABSL_GUARDED_BY(mu_);
};

// Never destroyed.
Mappings* AllMappings() {
  static Mappings* const mappings = new Mappings;
  return mappings;
}

class PosixMappedFile : public MappedFile {
 public:
  PosixMappedFile(void* address, size_t size) : address_(address), size_(size) {
    if (size_ > 0) AllMappings()->Add(address_, size_);
  }
  ~PosixMappedFile() override {
    if (size_ == 0) return;
    AllMappings()->Remove(address_);
    ::munmap(address_, size_);
  }
  std::string_view bytes() const override { return {static_cast<const char*>(address_), size_}; }

 private:
  void* const address_;
  const size_t size_;
};

class PosixDirectoryLock : public DirectoryLock {
 public:
  explicit PosixDirectoryLock(FileDescriptor fd) : fd_(std::move(fd)) {}

 private:
  FileDescriptor fd_;  // Closing it releases the lock; the file stays, as upstream's does.
};

class PosixFileSystemImpl : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_WRONLY | O_CREAT | O_TRUNC));
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override {
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_WRONLY | O_CREAT | O_APPEND));
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenRead(const std::string& path) override {
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_RDONLY));
    return std::make_unique<PosixRandomAccessFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<MappedFile>> Map(const std::string& path) override {
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_RDONLY));
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return ErrnoStatus("stat", path, errno);
    const auto size = static_cast<size_t>(info.st_size);
    if (size == 0) return std::make_unique<PosixMappedFile>(nullptr, 0);
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return ErrnoStatus("map", path, errno);
    return std::make_unique<PosixMappedFile>(address, size);
  }

  void ReleaseMappedPages() override { AllMappings()->ReleasePages(); }

  absl::StatusOr<std::string> ReadFile(const std::string& path) override {
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_RDONLY));
    // Reads to the end rather than to the size: files under /proc have none.
    std::string content;
    constexpr size_t kStep = 64 << 10;
    while (true) {
      const size_t old_size = content.size();
      content.resize(old_size + kStep);
      const ssize_t got = ::read(fd.get(), content.data() + old_size, kStep);
      if (got < 0 && errno == EINTR) {
        content.resize(old_size);
        continue;
      }
      if (got < 0) return ErrnoStatus("read", path, errno);
      content.resize(old_size + static_cast<size_t>(got));
      if (got == 0) return content;
    }
  }

  absl::Status WriteFileAtomically(const std::string& path, std::string_view content) override {
    const std::string temporary = StrCat(path, ".tmp");
    absl::Status written = WriteAndSync(temporary, content);
    if (written.ok()) written = Rename(temporary, path);
    if (!written.ok()) {
      ::unlink(temporary.c_str());
      return written;
    }
    return SyncDirectory(std::string(DirName(path)));
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) return ErrnoStatus("open", directory, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int error = errno;
    ::closedir(dir);
    if (error != 0) return ErrnoStatus("read", directory, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0;
  }

  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return ErrnoStatus("stat", path, errno);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::StatusOr<bool> IsDirectory(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return ErrnoStatus("stat", path, errno);
    return S_ISDIR(info.st_mode);
  }

  absl::Status CreateDirectories(const std::string& path) override {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
        const int error = errno;
        if (end == std::string::npos || !Exists(part)) return ErrnoStatus("mkdir", part, error);
      }
      if (end == std::string::npos) break;
    }
    NARTHEX_ASSIGN_OR_RETURN(const bool directory, IsDirectory(path));
    if (!directory) return ErrnoStatus("mkdir", path, ENOTDIR);
    return absl::OkStatus();
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return ErrnoStatus("rename", StrCat(from, " to ", to), errno);
    }
    return absl::OkStatus();
  }

  absl::Status HardLink(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) {
      return ErrnoStatus("link", StrCat(from, " to ", to), errno);
    }
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return ErrnoStatus("remove", path, errno);
    return absl::OkStatus();
  }

  absl::Status RemoveAll(const std::string& path) override {
    struct stat info;
    if (::lstat(path.c_str(), &info) != 0) {
      return errno == ENOENT ? absl::OkStatus() : ErrnoStatus("stat", path, errno);
    }
    if (S_ISDIR(info.st_mode)) {
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, List(path));
      for (const std::string& name : names)
        NARTHEX_RETURN_IF_ERROR(RemoveAll(JoinPath(path, name)));
    }
    return Remove(path);
  }

  absl::Status SyncDirectory(const std::string& path) override {
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(fd.get()) != 0) return ErrnoStatus("sync", path, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<DiskSpace> SpaceOf(const std::string& path) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0) return ErrnoStatus("stat the disk of", path, errno);
    const auto unit = static_cast<uint64_t>(info.f_frsize);
    return DiskSpace{unit * info.f_blocks, unit * info.f_bavail};
  }

  absl::StatusOr<std::unique_ptr<DirectoryLock>> LockDirectory(
      const std::string& directory) override {
    const std::string path = JoinPath(directory, "lock");
    NARTHEX_ASSIGN_OR_RETURN(FileDescriptor fd, Open(path, O_RDWR | O_CREAT));
    // A record lock, which is what Prometheus takes, so that each refuses the other; and a file
    // lock, because record locks do not keep this process from locking twice.
    struct flock record = {};
    record.l_type = F_WRLCK;
    record.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_SETLK, &record) != 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      if (error == EAGAIN || error == EACCES) {
        return FailedPrecondition("lock ", path, ": another process uses this directory");
      }
      return ErrnoStatus("lock", path, error);
    }
    return std::make_unique<PosixDirectoryLock>(std::move(fd));
  }

  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override {
    glob_t found = {};
    const int result = ::glob(pattern.c_str(), 0, nullptr, &found);
    std::vector<std::string> paths;
    for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (result != 0 && result != GLOB_NOMATCH) return Internal("glob ", pattern, ": cannot read");
    return paths;
  }

 private:
  absl::Status WriteAndSync(const std::string& path, std::string_view content) {
    NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, Create(path));
    NARTHEX_RETURN_IF_ERROR(file->Append(content));
    NARTHEX_RETURN_IF_ERROR(file->Sync());
    return file->Close();
  }
};

}  // namespace

FileSystem* PosixFileSystem() {
  static PosixFileSystemImpl* const file_system = new PosixFileSystemImpl;
  return file_system;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  if (directory.back() == '/') return StrCat(directory, name);
  return StrCat(directory, "/", name);
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view DirName(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace narthex::io
