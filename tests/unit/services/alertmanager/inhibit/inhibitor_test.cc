#include "services/alertmanager/inhibit/inhibitor.h"

#include <algorithm>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "services/alertmanager/alerts/matchers.h"
#include "tests/support/fake_clock.h"

namespace narthex::inhibit {
namespace {

std::vector<Matcher> Matchers(std::string_view text) {
  return *alerts::ParseMatchers(text, alerts::MatcherMode::kFallback, nullptr);
}

alerts::AlertPtr Firing(const FakeClock& clock, Labels labels,
                        absl::Duration lasting = absl::Hours(1)) {
  auto alert = std::make_shared<alerts::Alert>();
  alert->labels = std::move(labels);
  alert->starts_at = alert->updated_at = clock.Now();
  alert->ends_at = clock.Now() + lasting;
  return alert;
}

TEST_CASE("a firing source inhibits targets with the same values of the equal labels") {
  FakeClock clock;
  Inhibitor inhibitor({{"", Matchers("s=\"1\""), Matchers("t=\"1\""), {"e", "f"}}}, &clock);
  const alerts::AlertPtr source = Firing(clock, {{"s", "1"}, {"e", "x"}});
  inhibitor.OnAlert(source);
  using Ids = std::vector<uint64_t>;
  CHECK(inhibitor.InhibitedBy({{"t", "1"}, {"e", "x"}}) == Ids{source->fingerprint()});
  CHECK(inhibitor.InhibitedBy({{"t", "1"}, {"e", "y"}}).empty());
  CHECK(inhibitor.InhibitedBy({{"t", "2"}, {"e", "x"}}).empty());
  // A missing label is an empty one, on both sides.
  CHECK(inhibitor.InhibitedBy({{"t", "1"}, {"e", "x"}, {"f", "z"}}).empty());
  clock.Advance(absl::Hours(1));
  CHECK(inhibitor.InhibitedBy({{"t", "1"}, {"e", "x"}}).empty());
}

TEST_CASE("nothing inhibits itself, but another source still counts") {
  FakeClock clock;
  // Whatever matches both sides must not inhibit its like.
  Inhibitor inhibitor({{"", Matchers("n=~\"a|b\""), Matchers("n=~\"b|c\""), {"e"}}}, &clock);
  inhibitor.OnAlert(Firing(clock, {{"n", "b"}, {"e", "x"}}));
  CHECK(inhibitor.InhibitedBy({{"n", "b"}, {"e", "x"}}).empty());
  CHECK(inhibitor.InhibitedBy({{"n", "c"}, {"e", "x"}}).size() == 1);
  // A pure source comes second and is not hidden by the first.
  inhibitor.OnAlert(Firing(clock, {{"n", "a"}, {"e", "x"}}));
  CHECK(inhibitor.InhibitedBy({{"n", "b"}, {"e", "x"}}).size() == 1);
  CHECK(inhibitor.InhibitedBy({{"n", "c"}, {"e", "x"}}).size() == 2);
}

TEST_CASE("a source that ends leaves the others in force") {
  FakeClock clock;
  Inhibitor inhibitor({{"", Matchers("s=\"1\""), Matchers("t=\"1\""), {}}}, &clock);
  inhibitor.OnAlert(Firing(clock, {{"s", "1"}, {"i", "1"}}, absl::Seconds(10)));
  inhibitor.OnAlert(Firing(clock, {{"s", "1"}, {"i", "2"}}, absl::Seconds(20)));
  clock.Advance(absl::Seconds(15));
  CHECK(inhibitor.InhibitedBy({{"t", "1"}}).size() == 1);
  inhibitor.CollectGarbage();
  CHECK(inhibitor.InhibitedBy({{"t", "1"}}).size() == 1);
  clock.Advance(absl::Seconds(5));
  CHECK(inhibitor.InhibitedBy({{"t", "1"}}).empty());
}

TEST_CASE("an older report of a source does not undo a younger one") {
  FakeClock clock;
  Inhibitor inhibitor({{"", Matchers("s=\"1\""), {}, {}}}, &clock);
  const alerts::AlertPtr firing = Firing(clock, {{"s", "1"}});
  clock.Advance(absl::Seconds(5));
  const alerts::AlertPtr ended = Firing(clock, {{"s", "1"}}, absl::ZeroDuration());
  inhibitor.OnAlert(ended);
  inhibitor.OnAlert(firing);
  CHECK(inhibitor.InhibitedBy({{"x", "1"}}).empty());
}

TEST_CASE("what was inhibited by random rules agrees with asking every source") {
  FakeClock clock;
  const std::vector<Rule> rules = {
      {"", Matchers("a=\"1\""), Matchers("b=\"1\""), {"e"}},
      {"", Matchers("a=~\"1|2\""), Matchers("a!=\"1\""), {"e", "f"}},
      {"", Matchers("b=\"2\""), Matchers(""), {}},
  };
  Inhibitor inhibitor(rules, &clock);
  std::vector<alerts::AlertPtr> sources;
  const auto labels_of = [](unsigned number) {
    const auto digit = [&number] {
      const unsigned value = number % 3;
      number /= 3;
      return std::string(1, static_cast<char>('0' + value));
    };
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const char* name : {"a", "b", "e", "f"}) {
      const std::string value = digit();
      if (value != "0") pairs.emplace_back(name, value);
    }
    return Labels::FromPairs(std::move(pairs));
  };
  for (unsigned number = 0; number < 81; number += 7) {
    sources.push_back(Firing(clock, labels_of(number)));
    inhibitor.OnAlert(sources.back());
  }
  for (unsigned number = 0; number < 81; ++number) {
    const Labels target = labels_of(number);
    std::vector<uint64_t> expected;
    for (const alerts::AlertPtr& source : sources) {
      for (const Rule& rule : rules) {
        bool equal = true;
        for (const std::string& name : rule.equal) {
          equal = equal && source->labels.Get(name) == target.Get(name);
        }
        const bool excluded = alerts::MatchesAll(rule.source_matchers, target) &&
                              alerts::MatchesAll(rule.target_matchers, source->labels);
        if (equal && !excluded && alerts::MatchesAll(rule.source_matchers, source->labels) &&
            alerts::MatchesAll(rule.target_matchers, target)) {
          expected.push_back(source->fingerprint());
          break;
        }
      }
    }
    std::sort(expected.begin(), expected.end());
    INFO(target.ToString());
    CHECK(inhibitor.InhibitedBy(target) == expected);
  }
}

}  // namespace
}  // namespace narthex::inhibit
