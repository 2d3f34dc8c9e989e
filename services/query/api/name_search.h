#ifndef NARTHEX_SERVICES_QUERY_API_NAME_SEARCH_H_
#define NARTHEX_SERVICES_QUERY_API_NAME_SEARCH_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace narthex::query_api {

// How well names fit what somebody has typed so far. Immutable; thread-safe.
class NameSearch {
 public:
  enum class Algorithm { kSubsequence, kJaroWinkler };

  // A name fits when it fits one of `terms`; without terms all do. `threshold` is in [0, 1]. With
  // kJaroWinkler a threshold of zero means substrings only.
  NameSearch(std::vector<std::string> terms, Algorithm algorithm, double threshold,
             bool case_sensitive);

  // The greatest score, in [0, 1]; nothing when the name does not fit.
  std::optional<double> Score(std::string_view name) const;

 private:
  std::optional<double> ScoreTerm(const std::string& term, std::string_view name) const;

  std::vector<std::string> terms_;
  Algorithm algorithm_;
  double threshold_;
  bool case_sensitive_;
};

// The similarity of two texts by Jaro and Winkler: 1 for equal ones, more for a common beginning.
double JaroWinkler(std::string_view a, std::string_view b);

// 1 for equal texts, 0 when the letters of `term` do not come in this order in `name`; in between,
// the more the longer the runs in which they come and the shorter the gaps.
double SubsequenceScore(std::string_view term, std::string_view name);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_NAME_SEARCH_H_
