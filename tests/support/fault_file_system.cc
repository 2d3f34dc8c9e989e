#include "tests/support/fault_file_system.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex {

// One file or directory. Files are shared by the names and the open handles.
struct FaultFileSystem::Node {
  bool directory = false;
  std::string bytes;
  std::string synced;  // What a power loss leaves of `bytes`.
};

struct FaultFileSystem::State {
  using Names = std::map<std::string, std::shared_ptr<Node>>;

  Mutex mu;
  Names names ABSL_GUARDED_BY(mu);
  Names synced_names ABSL_GUARDED_BY(mu);
  std::set<std::string> locked ABSL_GUARDED_BY(mu);
  uint64_t operations ABSL_GUARDED_BY(mu) = 0;
  uint64_t fail_at ABSL_GUARDED_BY(mu) = 0;
  bool fail_once ABSL_GUARDED_BY(mu) = false;
  bool partial ABSL_GUARDED_BY(mu) = false;
  absl::Status failure ABSL_GUARDED_BY(mu);
  io::DiskSpace space ABSL_GUARDED_BY(mu) = {uint64_t{1} << 40, uint64_t{1} << 40};
  uint64_t epoch ABSL_GUARDED_BY(mu) =
      0;  // Grows with every crash; handles of an older one are dead.

  // Counts a mutating operation and says whether it fails.
  absl::Status CountLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    ++operations;
    if (fail_at == 0 || operations < fail_at || (fail_once && operations > fail_at)) {
      return absl::OkStatus();
    }
    return failure;
  }
  std::shared_ptr<Node> FindLocked(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const auto found = names.find(path);
    return found == names.end() ? nullptr : found->second;
  }
};

class FaultFileSystem::File : public io::WritableFile {
 public:
  File(std::shared_ptr<State> state, std::shared_ptr<Node> node, uint64_t epoch)
      : state_(std::move(state)), node_(std::move(node)), epoch_(epoch) {}

  absl::Status Append(std::string_view bytes) override {
    MutexLock lock(&state_->mu);
    NARTHEX_RETURN_IF_ERROR(AliveLocked());
    const absl::Status counted = state_->CountLocked();
    if (!counted.ok()) {
      if (state_->partial) node_->bytes.append(bytes.substr(0, bytes.size() / 2));
      return counted;
    }
    node_->bytes.append(bytes);
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    MutexLock lock(&state_->mu);
    NARTHEX_RETURN_IF_ERROR(AliveLocked());
    NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
    node_->synced = node_->bytes;
    return absl::OkStatus();
  }
  absl::Status Truncate(uint64_t size) override {
    MutexLock lock(&state_->mu);
    NARTHEX_RETURN_IF_ERROR(AliveLocked());
    NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
    node_->bytes.resize(size);
    return absl::OkStatus();
  }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  absl::Status AliveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mu) {
    return epoch_ == state_->epoch ? absl::OkStatus()
                                   : Internal("the process that opened this is gone");
  }
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Node> node_;
  const uint64_t epoch_;
};

class FaultFileSystem::Reader : public io::RandomAccessFile {
 public:
  Reader(std::shared_ptr<State> state, std::shared_ptr<Node> node)
      : state_(std::move(state)), node_(std::move(node)) {}
  absl::Status Read(uint64_t offset, size_t length, std::string* out) const override {
    MutexLock lock(&state_->mu);
    *out = offset >= node_->bytes.size() ? "" : node_->bytes.substr(offset, length);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size() const override {
    MutexLock lock(&state_->mu);
    return node_->bytes.size();
  }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Node> node_;
};

class FaultFileSystem::Mapping : public io::MappedFile {
 public:
  explicit Mapping(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string_view bytes() const override { return bytes_; }

 private:
  const std::string bytes_;
};

class FaultFileSystem::Lock : public io::DirectoryLock {
 public:
  Lock(std::shared_ptr<State> state, std::string path)
      : state_(std::move(state)), path_(std::move(path)) {}
  ~Lock() override {
    MutexLock lock(&state_->mu);
    state_->locked.erase(path_);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string path_;
};

namespace {

bool IsBelow(std::string_view name, std::string_view directory) {
  return name.size() > directory.size() && name.substr(0, directory.size()) == directory &&
         name[directory.size()] == '/';
}

// Renames `from` and all below it.
template <typename Names>
void MoveNames(const std::string& from, const std::string& to, Names* names) {
  Names moved;
  for (auto at = names->begin(); at != names->end();) {
    if (at->first == from || IsBelow(at->first, from)) {
      moved[to + at->first.substr(from.size())] = at->second;
      at = names->erase(at);
    } else {
      ++at;
    }
  }
  for (auto& [path, node] : moved) (*names)[path] = node;
}

}  // namespace

FaultFileSystem::FaultFileSystem() : state_(std::make_shared<State>()) {
  MutexLock lock(&state_->mu);
  auto root = std::make_shared<Node>();
  root->directory = true;
  state_->names["/"] = root;
  state_->synced_names["/"] = root;
}

void FaultFileSystem::FailFrom(uint64_t operation, absl::Status status, bool partial) {
  MutexLock lock(&state_->mu);
  state_->fail_at = operation;
  state_->fail_once = false;
  state_->failure = std::move(status);
  state_->partial = partial;
}

void FaultFileSystem::FailOnce(uint64_t operation, absl::Status status, bool partial) {
  FailFrom(operation, std::move(status), partial);
  MutexLock lock(&state_->mu);
  state_->fail_once = true;
}

uint64_t FaultFileSystem::operations() const {
  MutexLock lock(&state_->mu);
  return state_->operations;
}

void FaultFileSystem::PowerLoss() {
  MutexLock lock(&state_->mu);
  state_->names = state_->synced_names;
  for (auto& [path, node] : state_->names) {
    // A copy: dead handles keep the old one.
    auto kept = std::make_shared<Node>(*node);
    kept->bytes = kept->synced;
    node = kept;
  }
  state_->synced_names = state_->names;
  state_->locked.clear();
  ++state_->epoch;
}

void FaultFileSystem::ProcessCrash() {
  MutexLock lock(&state_->mu);
  state_->locked.clear();
  ++state_->epoch;
}

void FaultFileSystem::SetDiskSpace(io::DiskSpace space) {
  MutexLock lock(&state_->mu);
  state_->space = space;
}

absl::StatusOr<io::DiskSpace> FaultFileSystem::SpaceOf(const std::string& path) {
  MutexLock lock(&state_->mu);
  if (state_->FindLocked(path) == nullptr) {
    return NotFound("stat the disk of ", path, ": no such file or directory");
  }
  return state_->space;
}

void FaultFileSystem::Corrupt(const std::string& path, size_t offset, char xor_with) {
  MutexLock lock(&state_->mu);
  const std::shared_ptr<Node> node = state_->FindLocked(path);
  NARTHEX_CHECK(node != nullptr && offset < node->bytes.size());
  node->bytes[offset] = static_cast<char>(node->bytes[offset] ^ xor_with);
}

absl::StatusOr<std::unique_ptr<io::WritableFile>> FaultFileSystem::Create(const std::string& path) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  if (state_->FindLocked(std::string(io::DirName(path))) == nullptr) {
    return NotFound("open ", path, ": no such file or directory");
  }
  std::shared_ptr<Node>& node = state_->names[path];
  if (node == nullptr) node = std::make_shared<Node>();
  node->bytes.clear();
  return std::make_unique<File>(state_, node, state_->epoch);
}

absl::StatusOr<std::unique_ptr<io::WritableFile>> FaultFileSystem::OpenAppend(
    const std::string& path) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  std::shared_ptr<Node>& node = state_->names[path];
  if (node == nullptr) node = std::make_shared<Node>();
  return std::make_unique<File>(state_, node, state_->epoch);
}

absl::StatusOr<std::unique_ptr<io::RandomAccessFile>> FaultFileSystem::OpenRead(
    const std::string& path) {
  MutexLock lock(&state_->mu);
  std::shared_ptr<Node> node = state_->FindLocked(path);
  if (node == nullptr) return NotFound("open ", path, ": no such file or directory");
  return std::make_unique<Reader>(state_, std::move(node));
}

absl::StatusOr<std::unique_ptr<io::MappedFile>> FaultFileSystem::Map(const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path));
  return std::make_unique<Mapping>(std::move(bytes));
}

absl::StatusOr<std::string> FaultFileSystem::ReadFile(const std::string& path) {
  MutexLock lock(&state_->mu);
  const std::shared_ptr<Node> node = state_->FindLocked(path);
  if (node == nullptr) return NotFound("open ", path, ": no such file or directory");
  return node->bytes;
}

absl::Status FaultFileSystem::WriteFileAtomically(const std::string& path,
                                                  std::string_view content) {
  const std::string temporary = StrCat(path, ".tmp");
  {
    NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::WritableFile> file, Create(temporary));
    NARTHEX_RETURN_IF_ERROR(file->Append(content));
    NARTHEX_RETURN_IF_ERROR(file->Sync());
  }
  NARTHEX_RETURN_IF_ERROR(Rename(temporary, path));
  return SyncDirectory(std::string(io::DirName(path)));
}

absl::StatusOr<std::vector<std::string>> FaultFileSystem::List(const std::string& directory) {
  MutexLock lock(&state_->mu);
  if (state_->FindLocked(directory) == nullptr) {
    return NotFound("open ", directory, ": no such file or directory");
  }
  std::vector<std::string> found;
  for (const auto& [path, node] : state_->names) {
    if (path != "/" && io::DirName(path) == directory) found.emplace_back(io::BaseName(path));
  }
  return found;
}

bool FaultFileSystem::Exists(const std::string& path) {
  MutexLock lock(&state_->mu);
  return state_->FindLocked(path) != nullptr;
}

absl::StatusOr<uint64_t> FaultFileSystem::FileSize(const std::string& path) {
  MutexLock lock(&state_->mu);
  const std::shared_ptr<Node> node = state_->FindLocked(path);
  if (node == nullptr) return NotFound("stat ", path, ": no such file or directory");
  return node->bytes.size();
}

absl::StatusOr<bool> FaultFileSystem::IsDirectory(const std::string& path) {
  MutexLock lock(&state_->mu);
  const std::shared_ptr<Node> node = state_->FindLocked(path);
  if (node == nullptr) return NotFound("stat ", path, ": no such file or directory");
  return node->directory;
}

absl::Status FaultFileSystem::CreateDirectories(const std::string& path) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  std::string made = path;
  // Directories are durable at once: losing one whole is no interesting crash.
  while (made != "/" && made != ".") {
    std::shared_ptr<Node>& node = state_->names[made];
    if (node == nullptr) {
      node = std::make_shared<Node>();
      node->directory = true;
    }
    state_->synced_names[made] = node;
    made = std::string(io::DirName(made));
  }
  return absl::OkStatus();
}

absl::Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  if (state_->FindLocked(from) == nullptr) {
    return NotFound("rename ", from, " to ", to, ": no such file or directory");
  }
  MoveNames(from, to, &state_->names);
  return absl::OkStatus();
}

absl::Status FaultFileSystem::HardLink(const std::string& from, const std::string& to) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  const std::shared_ptr<Node> node = state_->FindLocked(from);
  if (node == nullptr || state_->FindLocked(std::string(io::DirName(to))) == nullptr) {
    return NotFound("link ", from, " to ", to, ": no such file or directory");
  }
  if (!state_->names.emplace(to, node).second) {
    return AlreadyExists("link ", from, " to ", to, ": file exists");
  }
  return absl::OkStatus();
}

absl::Status FaultFileSystem::Remove(const std::string& path) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  if (state_->names.erase(path) == 0)
    return NotFound("remove ", path, ": no such file or directory");
  return absl::OkStatus();
}

absl::Status FaultFileSystem::RemoveAll(const std::string& path) {
  MutexLock lock(&state_->mu);
  // One operation a name, children first, so that a crash may leave part of a folder.
  std::vector<std::string> below;
  for (const auto& [name, node] : state_->names) {
    if (name == path || IsBelow(name, path)) below.push_back(name);
  }
  if (below.empty()) NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  for (size_t i = below.size(); i-- > 0;) {
    NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
    state_->names.erase(below[i]);
  }
  return absl::OkStatus();
}

absl::Status FaultFileSystem::SyncDirectory(const std::string& path) {
  MutexLock lock(&state_->mu);
  NARTHEX_RETURN_IF_ERROR(state_->CountLocked());
  State::Names& synced = state_->synced_names;
  const auto within = [&path](const std::string& name) {
    return name != "/" && io::DirName(name) == path;
  };
  // A folder that was renamed takes what was synced in it along.
  for (const auto& [name, node] : state_->names) {
    if (!within(name) || !node->directory) continue;
    const auto old = std::find_if(synced.begin(), synced.end(),
                                  [&, &to = name, &folder = node](const auto& entry) {
                                    return entry.second == folder && entry.first != to;
                                  });
    if (old != synced.end()) MoveNames(std::string(old->first), name, &synced);
  }
  std::vector<std::string> gone;
  for (const auto& [name, node] : synced) {
    if (within(name) && state_->names.find(name) == state_->names.end()) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    std::erase_if(synced, [&name](const auto& entry) {
      return entry.first == name || IsBelow(entry.first, name);
    });
  }
  for (const auto& [name, node] : state_->names) {
    if (within(name)) synced[name] = node;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<io::DirectoryLock>> FaultFileSystem::LockDirectory(
    const std::string& directory) {
  MutexLock lock(&state_->mu);
  if (!state_->locked.insert(directory).second) {
    return FailedPrecondition("lock ", io::JoinPath(directory, "lock"),
                              ": another process uses this directory");
  }
  return std::make_unique<Lock>(state_, directory);
}

absl::StatusOr<std::vector<std::string>> FaultFileSystem::Glob(const std::string& pattern) {
  MutexLock lock(&state_->mu);
  std::vector<std::string> found;
  for (const auto& [path, node] : state_->names) {
    if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) found.push_back(path);
  }
  return found;
}

}  // namespace narthex
