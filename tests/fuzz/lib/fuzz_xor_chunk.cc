// Any bytes as an XOR chunk: decoding reads nothing outside of them, what it gives is in time
// order, and a chunk that can be resumed takes another sample.
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/chunkenc/xor_chunk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  narthex::SampleBuffer samples;
  const absl::Status decoded = narthex::chunkenc::XorDecode(bytes, SIZE_MAX, narthex::kMinTimestamp,
                                                            narthex::kMaxTimestamp, &samples);
  NARTHEX_CHECK(decoded.ok() ? samples.size() == narthex::chunkenc::XorSampleCount(bytes)
                             : samples.empty());
  for (size_t i = 1; i < samples.size(); ++i) {
    NARTHEX_CHECK(samples.timestamps()[i - 1] < samples.timestamps()[i]);
  }
  narthex::chunkenc::XorState state;
  if (!narthex::chunkenc::XorResume(bytes, &state).ok() || !decoded.ok()) return 0;
  if (state.count == 0 || state.count == UINT16_MAX) return 0;
  if (state.timestamp == narthex::kMaxTimestamp) return 0;
  NARTHEX_CHECK(state.timestamp == samples.timestamps().back());
  std::vector<uint8_t> grown(data, data + size);
  grown.resize(size + narthex::chunkenc::kXorSampleBytesMax);
  const narthex::Timestamp timestamp = state.timestamp + 1;
  narthex::chunkenc::XorAppend(&state, grown.data(), &size, timestamp, 0.5);
  narthex::SampleBuffer more;
  NARTHEX_CHECK(narthex::chunkenc::XorDecode({reinterpret_cast<const char*>(grown.data()), size},
                                             SIZE_MAX, narthex::kMinTimestamp,
                                             narthex::kMaxTimestamp, &more)
                    .ok());
  NARTHEX_CHECK(more.size() == samples.size() + 1);
  NARTHEX_CHECK(more.timestamps().back() == timestamp && more.values().back() == 0.5);
  for (size_t i = 0; i < samples.size(); ++i) {
    NARTHEX_CHECK(more.timestamps()[i] == samples.timestamps()[i]);
    NARTHEX_CHECK(std::bit_cast<uint64_t>(more.values()[i]) ==
                  std::bit_cast<uint64_t>(samples.values()[i]));
  }
  return 0;
}
