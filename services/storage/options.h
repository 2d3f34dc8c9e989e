#ifndef NARTHEX_SERVICES_STORAGE_OPTIONS_H_
#define NARTHEX_SERVICES_STORAGE_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "lib/flags/flags.h"

namespace narthex::storage_service {

// What the flags say.
struct Options {
  std::string config_file;  // Empty: none.
  std::string path = "data/";
  absl::Duration retention_time;      // 0: not given.
  uint64_t retention_size_bytes = 0;  // 0: not given.
  std::string web_listen_address = ":9092";
  std::string grpc_listen_address = "127.0.0.1:10901";
  bool enable_lifecycle = false;
  uint64_t segment_size_bytes = uint64_t{128} << 20;
  bool compress_log = true;
  // Open Append streams and long Selects that threads are held ready for.
  int64_t streams_max = 256;
};

void RegisterFlags(flags::FlagSet* flags, Options* options);

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_OPTIONS_H_
