#ifndef NARTHEX_LIB_IO_FILE_SYSTEM_H_
#define NARTHEX_LIB_IO_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace narthex::io {

// A file that is written at its end. Not thread-safe. The destructor closes without a sync and
// drops the error.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Hands the bytes to the operating system (no buffer of our own): after OK they survive the end
  // of this process.
  virtual absl::Status Append(std::string_view bytes) = 0;
  // After OK everything appended survives a power loss. After an error the state of the file is
  // unknown.
  virtual absl::Status Sync() = 0;
  // Cuts the file to `size` bytes and goes on appending there.
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::Status Close() = 0;
};

// A file that is read at any place. Thread-safe.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  // Reads up to `length` bytes at `offset` into *out (resized); fewer at the end of the file.
  // Thread-safe.
  virtual absl::Status Read(uint64_t offset, size_t length, std::string* out) const = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
};

// A whole file mapped for reading; the bytes stay valid as long as the object. Thread-safe.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual std::string_view bytes() const = 0;
};

// Of the disk that a path is on.
struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // For a process without privileges.
};

// A held lock on a directory; released by the destructor.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// The one seam to the operating system's files. Errors name the path and the cause ("open
// /data/wal/00000001: permission denied"). NotFound, AlreadyExists, ResourceExhausted (disk full,
// too many files), and Internal for the rest. PosixFileSystem in production; FaultFileSystem and
// memory in tests. Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) = 0;  // Truncates.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenAppend(
      const std::string& path) = 0;  // Creates if absent.
  virtual absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenRead(const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<MappedFile>> Map(const std::string& path) = 0;
  // Lets the memory go that mapped files hold because they were read. Their bytes stay valid: what
  // is read again comes from the page cache, which the kernel keeps while it has room.
  virtual void ReleaseMappedPages() {}
  virtual absl::StatusOr<std::string> ReadFile(const std::string& path) = 0;
  // Writes beside the file, syncs, renames over it and syncs the directory: readers see the old or
  // the new content.
  virtual absl::Status WriteFileAtomically(const std::string& path, std::string_view content) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& directory) = 0;  // Names, sorted; not "." or "..".
  virtual bool Exists(const std::string& path) = 0;
  virtual absl::StatusOr<uint64_t> FileSize(const std::string& path) = 0;
  virtual absl::StatusOr<bool> IsDirectory(const std::string& path) = 0;
  virtual absl::Status CreateDirectories(const std::string& path) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // Gives the file a second name, on the same disk. AlreadyExists when `to` is there.
  virtual absl::Status HardLink(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;     // A file, or an empty directory.
  virtual absl::Status RemoveAll(const std::string& path) = 0;  // OK when there is nothing.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  virtual absl::StatusOr<DiskSpace> SpaceOf(const std::string& path) = 0;
  // Locks `directory`/lock against other processes; FailedPrecondition when another holds it.
  virtual absl::StatusOr<std::unique_ptr<DirectoryLock>> LockDirectory(
      const std::string& directory) = 0;
  // Paths that match a shell pattern (* ? [..]), sorted; none is OK.
  virtual absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) = 0;
};

// Never destroyed.
FileSystem* PosixFileSystem();

std::string JoinPath(std::string_view directory, std::string_view name);
std::string_view BaseName(std::string_view path);
std::string_view DirName(std::string_view path);  // "." when there is none.

}  // namespace narthex::io

#endif  // NARTHEX_LIB_IO_FILE_SYSTEM_H_
