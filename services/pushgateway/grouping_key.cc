#include "services/pushgateway/grouping_key.h"

#include <vector>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/labels/selector_format.h"

namespace narthex::pushgateway {
namespace {

constexpr std::string_view kBase64Suffix = "@base64";
constexpr std::string_view kJob = "job";

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

// Go's base64.RawURLEncoding after the padding is taken away. `error_offset` is where it stops
// making sense, or npos; *out holds what was decoded before.
void DecodeBase64(std::string_view text, std::string* out, size_t* error_offset) {
  while (text.ends_with('=')) text.remove_suffix(1);
  *error_offset = std::string_view::npos;
  unsigned quantum = 0;
  int digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' || text[i] == '\n') continue;  // Go skips line breaks.
    const int digit = Base64Digit(text[i]);
    if (digit < 0) {
      *error_offset = i;
      return;
    }
    quantum = quantum << 6 | static_cast<unsigned>(digit);
    if (++digits < 4) continue;
    *out += {static_cast<char>(quantum >> 16), static_cast<char>(quantum >> 8),
             static_cast<char>(quantum)};
    quantum = 0;
    digits = 0;
  }
  if (digits == 1) *error_offset = text.size() - 1;
  if (digits == 2) out->push_back(static_cast<char>(quantum >> 4));
  if (digits == 3) *out += {static_cast<char>(quantum >> 10), static_cast<char>(quantum >> 2)};
}

// Decodes the pairs behind the job; `labels` begins with a slash, as upstream's router hands it
// over.
absl::Status SplitLabels(std::string_view labels, GroupingKey* key) {
  if (labels.size() <= 1) return absl::OkStatus();
  const std::vector<std::string_view> parts = Split(labels.substr(1), '/');
  if (parts.size() % 2 != 0) {
    return InvalidArgument("odd number of components in label string ", Quote(labels));
  }
  for (size_t i = 0; i < parts.size(); i += 2) {
    const bool is_base64 = parts[i].ends_with(kBase64Suffix);
    const std::string_view name =
        parts[i].substr(0, parts[i].size() - (is_base64 ? kBase64Suffix.size() : 0));
    if (!IsProperLabelName(name)) return InvalidArgument("improper label name ", Quote(name));
    std::string value(is_base64 ? std::string_view() : parts[i + 1]);
    if (is_base64) {
      size_t error_offset = 0;
      DecodeBase64(parts[i + 1], &value, &error_offset);
      if (error_offset != std::string_view::npos) {
        return InvalidArgument("invalid base64 encoding for label ", name, "=", Quote(parts[i + 1]),
                               ": illegal base64 data at input byte ", error_offset);
      }
    }
    (*key)[std::string(name)] = std::move(value);
  }
  return absl::OkStatus();
}

}  // namespace

bool IsProperLabelName(std::string_view name) {
  return IsLegacyLabelName(name) && !name.starts_with("__");
}

absl::StatusOr<GroupingKey> ParseGroupingPath(std::string_view path) {
  const bool is_base64 = path.starts_with("job@base64/");
  if (!is_base64 && !path.starts_with("job/")) return NotFound("404 page not found");
  path.remove_prefix(path.find('/') + 1);
  const size_t slash = path.find('/');
  const std::string_view raw_job = path.substr(0, slash);
  if (raw_job.empty()) return NotFound("404 page not found");
  std::string job(is_base64 ? std::string_view() : raw_job);
  if (is_base64) {
    size_t error_offset = 0;
    DecodeBase64(raw_job, &job, &error_offset);
    if (error_offset != std::string_view::npos) {
      return InvalidArgument("invalid base64 encoding in job name ", Quote(job),
                             ": illegal base64 data at input byte ", error_offset);
    }
  }
  GroupingKey key;
  if (slash != std::string_view::npos) {
    NARTHEX_RETURN_IF_ERROR(SplitLabels(path.substr(slash), &key));
  }
  if (job.empty()) return InvalidArgument("job name is required");
  key[std::string(kJob)] = std::move(job);  // The first segment wins over a later "job".
  return key;
}

absl::Status ValidateGroupingKey(const GroupingKey& key) {
  for (const auto& label : key) {
    if (!IsProperLabelName(label.first)) {
      return InvalidArgument("improper label name ", Quote(label.first));
    }
  }
  const auto job = key.find(kJob);
  if (job == key.end() || job->second.empty()) return InvalidArgument("job name is required");
  return absl::OkStatus();
}

}  // namespace narthex::pushgateway
