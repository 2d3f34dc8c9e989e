#include "lib/discovery/file.h"

#include <algorithm>
#include <set>

#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/config/target_file.h"
#include "lib/discovery/static.h"

namespace narthex::discovery {
namespace {

std::string SourceOf(const std::string& path, size_t index) { return StrCat(path, ":", index); }

}  // namespace

FileDiscoverer::FileDiscoverer(config::FileSdConfig config, DiscovererContext context)
    : config_(std::move(config)),
      refresh_interval_(config_.refresh_interval > absl::ZeroDuration()
                            ? config_.refresh_interval
                            : config::FileSdConfig().refresh_interval),
      context_(std::move(context)),
      read_errors_(context_.registry->AddCounter("prometheus_sd_file_read_errors_total",
                                                 "The number of File-SD read errors.")),
      watcher_errors_(context_.registry->AddCounter(
          "prometheus_sd_file_watcher_errors_total",
          "The number of File-SD errors caused by filesystem watch failures.")),
      scan_seconds_(context_.registry->AddSummary("prometheus_sd_file_scan_duration_seconds",
                                                  "The duration of the File-SD scan in seconds.",
                                                  {0.5, 0.9, 0.99})) {}

void FileDiscoverer::Run(const UpdateCallback& update) {
  StartWatching();
  bool first = true;
  while (true) {
    // Before the files are read, so that no change is missed between the two.
    WatchDirectories();
    std::vector<TargetGroup> groups = Refresh();
    if (first || !groups.empty()) update(std::move(groups));
    first = false;
    const absl::Time next = context_.clock->Now() + refresh_interval_;
    MutexLock lock(&mu_);
    while (!stopped_ && !changed_ && context_.clock->Now() < next) {
      context_.clock->WaitUntil(&mu_, &wake_cv_, next);
    }
    if (stopped_) return;
    changed_ = false;
  }
}

void FileDiscoverer::Stop() {
  MutexLock lock(&mu_);
  stopped_ = true;
  wake_cv_.SignalAll();
}

void FileDiscoverer::StartWatching() {
  absl::StatusOr<std::unique_ptr<io::DirectoryWatcher>> watcher =
      io::DirectoryWatcher::Create([this] {
        MutexLock lock(&mu_);
        changed_ = true;
        wake_cv_.SignalAll();
      });
  if (watcher.ok()) {
    watcher_ = *std::move(watcher);
    return;
  }
  watcher_errors_->Increment();
  context_.logger.Error("cannot watch for changes of target files; looking from time to time",
                        {{"err", watcher.status()}});
}

void FileDiscoverer::WatchDirectories() {
  if (watcher_ == nullptr) return;
  std::set<std::string> directories;
  for (const std::string& pattern : config_.files) {
    directories.emplace(io::DirName(pattern));
  }
  for (const std::string& directory : directories) {
    const absl::Status status = watcher_->Watch(directory);
    // A directory may come later; until then there is nothing to see.
    if (status.ok() || absl::IsNotFound(status)) continue;
    watcher_errors_->Increment();
    context_.logger.Error("cannot watch the directory of target files", {{"err", status}});
  }
}

std::vector<std::string> FileDiscoverer::MatchingPaths() {
  std::vector<std::string> paths;
  for (const std::string& pattern : config_.files) {
    absl::StatusOr<std::vector<std::string>> matches = context_.file_system->Glob(pattern);
    if (!matches.ok()) {
      read_errors_->Increment();
      context_.logger.Error("cannot list target files",
                            {{"pattern", pattern}, {"err", matches.status()}});
      continue;
    }
    paths.insert(paths.end(), matches->begin(), matches->end());
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

std::vector<TargetGroup> FileDiscoverer::Refresh() {
  const absl::Duration start = context_.clock->Monotonic();
  std::vector<TargetGroup> changed;
  const std::vector<std::string> paths = MatchingPaths();
  for (const std::string& path : paths) ReadInto(path, &changed);
  for (auto file = files_.begin(); file != files_.end();) {
    if (std::binary_search(paths.begin(), paths.end(), file->first)) {
      ++file;
      continue;
    }
    for (size_t i = 0; i < file->second.group_count; ++i) {
      changed.push_back(TargetGroup{.source = SourceOf(file->first, i)});
    }
    file = files_.erase(file);
  }
  scan_seconds_->Observe(absl::ToDoubleSeconds(context_.clock->Monotonic() - start));
  return changed;
}

void FileDiscoverer::ReadInto(const std::string& path, std::vector<TargetGroup>* changed) {
  KnownFile& known = files_[path];
  const auto failed = [&](const absl::Status& status) {
    read_errors_->Increment();
    context_.logger.Error("cannot read target file; its last good targets stay",
                          {{"path", path}, {"err", status}});
  };
  const absl::StatusOr<std::string> text = context_.file_system->ReadFile(path);
  if (!text.ok()) return failed(text.status());
  // Never 0, which stands for a file that was never read well.
  const uint64_t hash = StableHash(*text) | 1;
  if (hash == known.hash) return;
  const absl::StatusOr<std::vector<config::StaticSdConfig>> parsed =
      config::ParseTargetFile(*text, path);
  if (!parsed.ok()) return failed(parsed.status());
  for (size_t i = 0; i < parsed->size(); ++i) {
    changed->push_back(MakeGroup((*parsed)[i], SourceOf(path, i), {{"__meta_filepath", path}}));
  }
  for (size_t i = parsed->size(); i < known.group_count; ++i) {
    changed->push_back(TargetGroup{.source = SourceOf(path, i)});
  }
  known = {hash, parsed->size()};
}

}  // namespace narthex::discovery
