#ifndef NARTHEX_TESTS_SUPPORT_FAULT_FILE_SYSTEM_H_
#define NARTHEX_TESTS_SUPPORT_FAULT_FILE_SYSTEM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/io/file_system.h"

namespace narthex {

// A file system in memory that knows what a crash would keep. It fails the operation a test
// chooses, and PowerLoss() forgets what was not synced: bytes beyond the last Sync of a file, and
// names (creations, renames, removals) since the last SyncDirectory of their folder. Every mutating
// operation has a number, counted from 1, so a test can try each in turn. Thread-safe.
class FaultFileSystem : public io::FileSystem {
 public:
  FaultFileSystem();

  // The operation of this number, and all after it, fail with `status` (a dead disk); 0 turns it
  // off. With `partial` a failing Append leaves the first half of its bytes.
  void FailFrom(uint64_t operation, absl::Status status, bool partial = false);
  // Only this operation fails.
  void FailOnce(uint64_t operation, absl::Status status, bool partial = false);
  uint64_t operations() const;
  // Forgets everything unsynced. Open files of before fail every further operation. Locks are
  // released.
  void PowerLoss();
  // The end of a process: everything written stays, open files of before fail, locks are released.
  void ProcessCrash();
  // What SpaceOf() says; both are plenty at first. Writes do not change it.
  void SetDiskSpace(io::DiskSpace space);
  // Changes bytes behind everybody's back. REQUIRES: the file exists.
  void Corrupt(const std::string& path, size_t offset, char xor_with);

  absl::StatusOr<std::unique_ptr<io::WritableFile>> Create(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<io::WritableFile>> OpenAppend(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<io::RandomAccessFile>> OpenRead(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<io::MappedFile>> Map(const std::string& path) override;
  absl::StatusOr<std::string> ReadFile(const std::string& path) override;
  absl::Status WriteFileAtomically(const std::string& path, std::string_view content) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  bool Exists(const std::string& path) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  absl::StatusOr<bool> IsDirectory(const std::string& path) override;
  absl::Status CreateDirectories(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status HardLink(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status RemoveAll(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<io::DiskSpace> SpaceOf(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<io::DirectoryLock>> LockDirectory(
      const std::string& directory) override;
  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override;

 private:
  struct Node;
  struct State;
  class File;
  class Reader;
  class Mapping;
  class Lock;
  std::shared_ptr<State> state_;
};

}  // namespace narthex

#endif  // NARTHEX_TESTS_SUPPORT_FAULT_FILE_SYSTEM_H_
