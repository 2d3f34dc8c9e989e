// Any bytes as the message of remote write 1.0 and 2.0, and as snappy: what is decoded holds
// together, and what unpacks packs to the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/snappy.h"
#include "services/storage/remote/write_v1.h"
#include "services/storage/remote/write_v2.h"
#include "tests/fuzz/storage/check_columns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;  // NOLINT: one function.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  storage_remote::WriteColumns columns;
  storage_remote::WriteV1Decoder v1;
  if (v1.Decode(bytes, 1, &columns).ok()) storage_remote::TryColumns(&columns, &v1);
  storage_remote::WriteV2Decoder v2;
  if (v2.Decode(bytes, 1, &columns).ok()) storage_remote::TryColumns(&columns, &v2);
  std::string unpacked;
  std::string_view view;
  if (!SnappyUncompress(bytes, size_t{1} << 20, &unpacked, &view).ok()) return 0;
  std::string packed;
  std::string again;
  std::string_view same;
  NARTHEX_CHECK_OK(SnappyUncompress(SnappyCompress(view, &packed), size_t{1} << 20, &again, &same));
  NARTHEX_CHECK(same == view);
  return 0;
}
