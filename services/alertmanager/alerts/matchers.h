#ifndef NARTHEX_SERVICES_ALERTMANAGER_ALERTS_MATCHERS_H_
#define NARTHEX_SERVICES_ALERTMANAGER_ALERTS_MATCHERS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"

// Alertmanager's matchers as text: {alertname="X",team=~"a|b"}. All functions are pure and
// thread-safe.
namespace narthex::alerts {

// Which grammar reads matchers.
enum class MatcherMode {
  kFallback,  // Both; the classic one wins where they differ, with a warning.
  kUtf8,      // The new one only (--enable-feature=utf8-strict-mode).
  kClassic,   // The old one only (--enable-feature=classic-mode); names are legacy names.
};

// A list of matchers, with or without braces; empty is no matcher. What is accepted only for old
// times' sake or means two things adds a sentence to *warnings (may be null).
absl::StatusOr<std::vector<Matcher>> ParseMatchers(std::string_view text, MatcherMode mode,
                                                   std::vector<std::string>* warnings);
// Exactly one matcher, without braces: a filter of the API.
absl::StatusOr<Matcher> ParseMatcher(std::string_view text, MatcherMode mode,
                                     std::vector<std::string>* warnings);

// name="value", the value with \\, \" and \n escaped; both quoted as Go does when the name has a
// reserved character.
std::string MatcherText(const Matcher& matcher);
// {a="b",c=~"d"}
std::string MatchersText(const std::vector<Matcher>& matchers);
// By name, then value, then type.
void SortMatchers(std::vector<Matcher>* matchers);

bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels);

}  // namespace narthex::alerts

#endif  // NARTHEX_SERVICES_ALERTMANAGER_ALERTS_MATCHERS_H_
