#ifndef NARTHEX_LIB_DISCOVERY_HTTP_CLIENT_H_
#define NARTHEX_LIB_DISCOVERY_HTTP_CLIENT_H_

#include "absl/status/statusor.h"
#include "lib/config/http_client_config.h"
#include "lib/http/client.h"
#include "lib/io/file_system.h"

namespace narthex::discovery {

// What lib/http needs of a configured HTTP client block. Files of passwords and tokens are named
// (the client reads them at each request); those of user names and headers are read here.
// Unimplemented for what the client cannot do: oauth2, references to a secret manager, headers for
// a proxy's CONNECT. Pure but for the files; thread-safe.
absl::StatusOr<http::ClientConfig> MakeClientConfig(const config::HttpClientConfig& config,
                                                    io::FileSystem* file_system);

}  // namespace narthex::discovery

#endif  // NARTHEX_LIB_DISCOVERY_HTTP_CLIENT_H_
