// Any bytes as prometheus.ReadRequest: queries come out whole, and matchers survive the external
// labels.
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "lib/remote/read_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;  // NOLINT: one function.
  remote::ReadRequest request;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!remote::DecodeReadRequest(bytes, &request).ok()) return 0;
  const Labels external{{"a", "1"}, {"job", "x"}};
  for (storage::Selector& query : request.queries) {
    const size_t count = query.matchers.size();
    remote::RemoveExternalLabels(external, &query.matchers);
    NARTHEX_CHECK(query.matchers.size() == count);
    for (const Matcher& matcher : query.matchers) {
      NARTHEX_CHECK(!(matcher == Matcher::Equal("job", "x")));
    }
  }
  return 0;
}
