// Any bytes as a form: what ParseForm takes apart can be escaped and parsed again to the same
// pairs, and every escape undoes.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/http/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  narthex::http::Params params;
  narthex::http::ParseForm(bytes, &params);
  std::string encoded;
  for (const auto& pair : params.pairs()) {
    narthex::StrAppend(&encoded, encoded.empty() ? "" : "&",
                       narthex::http::UrlEncodeQuery(pair.first), "=",
                       narthex::http::UrlEncodeQuery(pair.second));
  }
  narthex::http::Params again;
  NARTHEX_CHECK(narthex::http::ParseForm(encoded, &again));
  NARTHEX_CHECK(again.pairs() == params.pairs());
  std::string decoded;
  NARTHEX_CHECK(narthex::http::UrlDecode(narthex::http::UrlEncodeQuery(bytes), true, &decoded));
  NARTHEX_CHECK(decoded == bytes);
  NARTHEX_CHECK(narthex::http::UrlDecode(narthex::http::UrlEncodePath(bytes), false, &decoded));
  NARTHEX_CHECK(decoded == bytes);
  return 0;
}
