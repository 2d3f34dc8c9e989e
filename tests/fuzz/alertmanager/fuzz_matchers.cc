#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "services/alertmanager/alerts/matchers.h"

// Reads arbitrary bytes as matchers in each grammar; what the UTF-8 grammar accepts reads back from
// its printed form.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace alerts = narthex::alerts;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto mode : {alerts::MatcherMode::kFallback, alerts::MatcherMode::kUtf8,
                          alerts::MatcherMode::kClassic}) {
    static_cast<void>(alerts::ParseMatcher(text, mode, nullptr));
    const auto matchers = alerts::ParseMatchers(text, mode, nullptr);
    if (!matchers.ok() || mode != alerts::MatcherMode::kUtf8) continue;
    const std::string printed = alerts::MatchersText(*matchers);
    const auto again = alerts::ParseMatchers(printed, mode, nullptr);
    // A name that is empty prints as nothing and cannot be read; no configuration accepts it
    // either.
    bool readable = true;
    for (const auto& matcher : *matchers) readable = readable && !matcher.name().empty();
    if (!readable) continue;
    NARTHEX_CHECK_OK(again.status());
    NARTHEX_CHECK(*again == *matchers);
  }
  return 0;
}
