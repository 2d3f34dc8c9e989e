#ifndef NARTHEX_LIB_BASE_SNAPPY_H_
#define NARTHEX_LIB_BASE_SNAPPY_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Snappy's block format: the log's records, remote write and remote read. The one home of the
// library. All functions are pure and thread-safe; buffers that they write to are overwritten and
// keep their memory.
namespace narthex {

// The result lies in `buffer`, which only ever grows (so that a call costs no clearing).
std::string_view SnappyCompress(std::string_view bytes, std::string* buffer);

// The result is *view, which lies in `buffer`; that only ever grows. InvalidArgument on bytes that
// are not snappy, or that claim to become more than snappy can make of them; ResourceExhausted,
// before anything is allocated, when the result would be longer than `out_bytes_max`.
absl::Status SnappyUncompress(std::string_view bytes, size_t out_bytes_max, std::string* buffer,
                              std::string_view* view);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_SNAPPY_H_
