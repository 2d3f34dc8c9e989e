#ifndef NARTHEX_SERVICES_SCRAPER_SPOOL_SPOOL_STATE_H_
#define NARTHEX_SERVICES_SCRAPER_SPOOL_SPOOL_STATE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace narthex::scraper {

// The file "state" beside the segments (format.md): who we are to storage, and how far everybody
// is. Plain data.
struct SpoolState {
  std::string sender_id;  // 16 bytes.
  // No sequence up to here may be used again: some of them may have been. The next process starts
  // above.
  uint64_t reserved_sequence = 0;
  std::map<std::string, uint64_t> cursors;  // Endpoint → its durable sequence.

  std::string Encode() const;
  static absl::StatusOr<SpoolState> Decode(std::string_view text);
  // With a sender id of its own.
  static SpoolState New();
};

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_SPOOL_SPOOL_STATE_H_
