#include "services/query/promql/active_queries.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"

namespace narthex::promql {
namespace {

constexpr size_t kSlotBytes = 1000;
constexpr std::string_view kFileName = "queries.active";

std::string Entry(std::string_view query, int64_t seconds) {
  std::string json;
  json::Writer writer(&json);
  writer.BeginObject();
  writer.Key("query");
  writer.String(query);
  writer.Key("timestamp_sec");
  writer.Int(seconds);
  writer.EndObject();
  return json;
}

// Cuts `text` to `size` bytes or a few less, between two characters.
std::string_view CutText(std::string_view text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

// The longest entry that leaves room for the comma. Escapes make a text longer than itself.
std::string FittingEntry(std::string_view query, int64_t seconds) {
  constexpr size_t kMax = kSlotBytes - 1;
  query = CutText(query, kMax);
  std::string entry = Entry(query, seconds);
  while (entry.size() > kMax) {
    const size_t excess = (entry.size() - kMax + 5) / 6;  // An escape has at most six bytes.
    query = CutText(query, query.size() - std::min(excess, query.size()));
    entry = Entry(query, seconds);
  }
  return entry;
}

}  // namespace

std::string ActiveQueries::ReadUnfinished(io::FileSystem* file_system,
                                          const std::string& directory) {
  const std::string path = io::JoinPath(directory, kFileName);
  if (!file_system->Exists(path)) return "";
  absl::StatusOr<std::string> content = file_system->ReadFile(path);
  if (!content.ok()) return "";
  std::string text = *std::move(content);
  text.erase(std::remove(text.begin(), text.end(), '\0'), text.end());
  // "[" alone: all had ended.
  if (text.size() < 2) return "";
  text.back() = ']';
  return text;
}

ActiveQueries::ActiveQueries(std::unique_ptr<io::SharedFile> file, int slots, Clock* clock)
    : clock_(clock), file_(std::move(file)) {
  file_->bytes()[0] = '[';
  for (int slot = slots - 1; slot >= 0; --slot) free_.push_back(slot);
}

absl::StatusOr<std::unique_ptr<ActiveQueries>> ActiveQueries::Create(io::FileSystem* file_system,
                                                                     const std::string& directory,
                                                                     int slots, Clock* clock) {
  NARTHEX_RETURN_IF_ERROR(file_system->CreateDirectories(directory));
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<io::SharedFile> file,
                           io::SharedFile::Create(io::JoinPath(directory, kFileName),
                                                  1 + static_cast<size_t>(slots) * kSlotBytes));
  return std::unique_ptr<ActiveQueries>(new ActiveQueries(std::move(file), slots, clock));
}

int ActiveQueries::Insert(std::string_view query) {
  const std::string entry = FittingEntry(query, absl::ToUnixSeconds(clock_->Now()));
  int slot = 0;
  {
    const MutexLock lock(&mu_);
    if (free_.empty()) return -1;
    slot = free_.back();
    free_.pop_back();
  }
  const std::span<char> bytes =
      file_->bytes().subspan(1 + static_cast<size_t>(slot) * kSlotBytes, kSlotBytes);
  std::copy(entry.begin(), entry.end(), bytes.begin());
  bytes.back() = ',';
  return slot;
}

void ActiveQueries::Remove(int slot) {
  if (slot < 0) return;
  const std::span<char> bytes =
      file_->bytes().subspan(1 + static_cast<size_t>(slot) * kSlotBytes, kSlotBytes);
  std::fill(bytes.begin(), bytes.end(), '\0');
  const MutexLock lock(&mu_);
  free_.push_back(slot);
}

}  // namespace narthex::promql
