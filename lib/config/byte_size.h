#ifndef NARTHEX_LIB_CONFIG_BYTE_SIZE_H_
#define NARTHEX_LIB_CONFIG_BYTE_SIZE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Byte sizes as Prometheus writes them: "15MB", "1GiB", "512B", "1.5KB"; K is 1024 with either
// ending. Pure functions; thread-safe.
namespace narthex::config {

// Errors are upstream's: units: unknown unit  in 100.
absl::StatusOr<int64_t> ParseByteSize(std::string_view text);
std::string FormatByteSize(int64_t bytes);  // "15MiB", "1MiB512KiB", "0B"

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_BYTE_SIZE_H_
