#include "services/storage/tsdb/wal/segments.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::wal {
namespace {

constexpr std::string_view kCheckpointPrefix = "checkpoint.";
constexpr std::string_view kRepairSuffix = ".repair";
constexpr size_t kSegmentDigits = 8;

}  // namespace

std::string SegmentName(uint64_t number) {
  std::string digits = StrCat(number);
  if (digits.size() < kSegmentDigits) digits.insert(0, kSegmentDigits - digits.size(), '0');
  return digits;
}

bool ParseSegmentName(std::string_view name, uint64_t* number) {
  if (name.size() < kSegmentDigits) return false;
  const bool digits =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && ParseUint64(name, number);
}

absl::StatusOr<std::vector<Segment>> ListSegments(io::FileSystem* fs,
                                                  const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->List(directory));
  std::vector<Segment> segments;
  for (const std::string& name : names) {
    Segment segment;
    if (!ParseSegmentName(name, &segment.number)) continue;
    segment.path = io::JoinPath(directory, name);
    NARTHEX_ASSIGN_OR_RETURN(segment.size_bytes, fs->FileSize(segment.path));
    segments.push_back(std::move(segment));
  }
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) { return a.number < b.number; });
  for (size_t i = 1; i < segments.size(); ++i) {
    const uint64_t expected = segments[i - 1].number + 1;
    if (segments[i].number != expected) {
      return DataLoss("log ", directory, ": segment ", SegmentName(expected), " is missing, but ",
                      SegmentName(segments[i].number), " is there");
    }
  }
  return segments;
}

absl::StatusOr<std::optional<Checkpoint>> LastCheckpoint(io::FileSystem* fs,
                                                         const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->List(directory));
  std::optional<Checkpoint> last;
  for (const std::string& name : names) {
    const std::string_view text = name;
    uint64_t number;
    if (!text.starts_with(kCheckpointPrefix) ||
        !ParseUint64(text.substr(kCheckpointPrefix.size()), &number)) {
      continue;
    }
    const std::string path = io::JoinPath(directory, name);
    NARTHEX_ASSIGN_OR_RETURN(const bool is_directory, fs->IsDirectory(path));
    if (is_directory && (!last || number >= last->segment)) last = Checkpoint{number, path};
  }
  return last;
}

absl::Status RestoreBrokenOffRepair(io::FileSystem* fs, const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->List(directory));
  for (const std::string& name : names) {
    const std::string_view text = name;
    if (!text.ends_with(kRepairSuffix)) continue;
    const std::string_view original = text.substr(0, text.size() - kRepairSuffix.size());
    uint64_t number;
    if (!ParseSegmentName(original, &number)) continue;
    NARTHEX_RETURN_IF_ERROR(
        fs->Rename(io::JoinPath(directory, name), io::JoinPath(directory, original)));
  }
  return absl::OkStatus();
}

absl::Status Repair(io::FileSystem* fs, const std::vector<Segment>& segments, size_t damaged,
                    uint64_t good_bytes, bool torn_tail, const std::string& lost_directory) {
  const Segment& segment = segments[damaged];
  const std::string directory(io::DirName(segment.path));
  if (!torn_tail) {
    NARTHEX_RETURN_IF_ERROR(fs->CreateDirectories(lost_directory));
    // The newest first, so that the log has no gap at any moment.
    for (size_t i = segments.size(); i-- > damaged + 1;) {
      if (!fs->Exists(segments[i].path)) continue;  // An earlier try came this far.
      NARTHEX_RETURN_IF_ERROR(fs->Rename(
          segments[i].path, io::JoinPath(lost_directory, io::BaseName(segments[i].path))));
    }
    NARTHEX_ASSIGN_OR_RETURN(const std::string whole, fs->ReadFile(segment.path));
    NARTHEX_RETURN_IF_ERROR(
        fs->WriteFileAtomically(io::JoinPath(lost_directory, io::BaseName(segment.path)), whole));
    NARTHEX_RETURN_IF_ERROR(fs->SyncDirectory(lost_directory));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<io::WritableFile> file,
                           fs->OpenAppend(segment.path));
  NARTHEX_RETURN_IF_ERROR(file->Truncate(good_bytes));
  NARTHEX_RETURN_IF_ERROR(file->Sync());
  NARTHEX_RETURN_IF_ERROR(file->Close());
  return fs->SyncDirectory(directory);
}

absl::Status RepairNowOrLater(std::function<absl::Status()> repair, Repairs* later) {
  absl::Status status = absl::ResourceExhaustedError("others come first");
  if (later->empty()) status = repair();
  if (!absl::IsResourceExhausted(status)) return status;
  later->push_back(std::move(repair));
  return absl::OkStatus();
}

absl::Status RunRepairs(Repairs* repairs) {
  while (!repairs->empty()) {
    NARTHEX_RETURN_IF_ERROR(repairs->front()());
    repairs->erase(repairs->begin());
  }
  return absl::OkStatus();
}

}  // namespace narthex::wal
