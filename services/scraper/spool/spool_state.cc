// Lines of text: "narthex-spool 1", "sender <32 hex digits>", "reserved <sequence>", then "cursor
// <sequence> <endpoint>" for each endpoint (the rest of the line, since a unix: path may hold
// blanks).
#include "services/scraper/spool/spool_state.h"

#include <random>
#include <vector>

#include "lib/base/strings.h"

namespace narthex::scraper {
namespace {

constexpr std::string_view kFirstLine = "narthex-spool 1";
constexpr size_t kSenderIdBytes = 16;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool DecodeHex(std::string_view text, std::string* out) {
  if (text.size() != kSenderIdBytes * 2) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

// Takes `prefix` off the front of *line.
bool Consume(std::string_view prefix, std::string_view* line) {
  if (!line->starts_with(prefix)) return false;
  line->remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string SpoolState::Encode() const {
  std::string out = StrCat(kFirstLine, "\nsender ");
  for (const char c : sender_id) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  StrAppend(&out, "\nreserved ", reserved_sequence, "\n");
  for (const auto& [endpoint, sequence] : cursors) {
    StrAppend(&out, "cursor ", sequence, " ", endpoint, "\n");
  }
  return out;
}

absl::StatusOr<SpoolState> SpoolState::Decode(std::string_view text) {
  const std::vector<std::string_view> lines = Split(text, '\n');
  SpoolState state;
  std::string_view sender = lines.size() > 1 ? lines[1] : "";
  std::string_view reserved = lines.size() > 2 ? lines[2] : "";
  if (lines[0] != kFirstLine || !Consume("sender ", &sender) ||
      !DecodeHex(sender, &state.sender_id) || !Consume("reserved ", &reserved) ||
      !ParseUint64(reserved, &state.reserved_sequence)) {
    return absl::DataLossError("the state file of the spool is damaged");
  }
  for (size_t i = 3; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    if (line.empty() && i + 1 == lines.size()) break;
    const bool cursor = Consume("cursor ", &line);
    const size_t blank = line.find(' ');
    uint64_t sequence = 0;
    if (!cursor || blank == std::string_view::npos ||
        !ParseUint64(line.substr(0, blank), &sequence)) {
      return absl::DataLossError(
          ToAbsl(StrCat("the state file of the spool is damaged in line ", i + 1)));
    }
    state.cursors[std::string(line.substr(blank + 1))] = sequence;
  }
  return state;
}

SpoolState SpoolState::New() {
  SpoolState state;
  std::random_device device;
  while (state.sender_id.size() < kSenderIdBytes) {
    state.sender_id.push_back(static_cast<char>(device()));
  }
  return state;
}

}  // namespace narthex::scraper
