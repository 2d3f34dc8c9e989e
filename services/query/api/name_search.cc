#include "services/query/api/name_search.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace narthex::query_api {
namespace {

// Names that are longer are compared by their beginnings: the work grows with the product.
constexpr size_t kComparedBytesMax = 256;

// The score of the way through `name` that begins at `start`, taking each letter where it comes
// first.
double ScoreFrom(size_t start, std::string_view term, std::string_view name) {
  const auto pattern = static_cast<double>(term.size());
  const auto length = static_cast<double>(name.size());
  double score = 0;
  size_t at = start;
  size_t taken = 0;
  while (taken < term.size()) {
    size_t run = 0;
    while (taken < term.size() && at < name.size() && name[at] == term[taken]) {
      ++run;
      ++taken;
      ++at;
    }
    score += static_cast<double>(run * run);
    if (taken == term.size()) break;
    const size_t gap_start = at;
    while (at < name.size() && name[at] != term[taken]) ++at;
    if (at == name.size()) return 0;
    score -= static_cast<double>(at - gap_start) / length;
  }
  score -= static_cast<double>(start + (name.size() - at)) / length / 2;
  return std::clamp(score / (pattern * pattern), 0.0, 1.0);
}

}  // namespace

double SubsequenceScore(std::string_view term, std::string_view name) {
  if (term.empty() || term == name) return 1;
  name = name.substr(0, kComparedBytesMax);
  double best = 0;
  for (size_t start = 0; start + term.size() <= name.size(); ++start) {
    if (name[start] == term[0]) best = std::max(best, ScoreFrom(start, term, name));
  }
  return best;
}

double JaroWinkler(std::string_view a, std::string_view b) {
  if (a == b) return 1;
  a = a.substr(0, kComparedBytesMax);
  b = b.substr(0, kComparedBytesMax);
  if (a.empty() || b.empty()) return 0;
  const size_t longer = std::max(a.size(), b.size());
  const size_t window = longer / 2 > 0 ? longer / 2 - 1 : 0;
  std::vector<bool> taken(b.size());
  std::string matched_a;
  for (size_t i = 0; i < a.size(); ++i) {
    const size_t begin = i > window ? i - window : 0;
    const size_t end = std::min(b.size(), i + window + 1);
    for (size_t j = begin; j < end; ++j) {
      if (taken[j] || a[i] != b[j]) continue;
      taken[j] = true;
      matched_a.push_back(a[i]);
      break;
    }
  }
  if (matched_a.empty()) return 0;
  size_t swapped = 0;
  size_t k = 0;
  for (size_t j = 0; j < b.size(); ++j) {
    if (taken[j] && matched_a[k++] != b[j]) ++swapped;
  }
  const auto matches = static_cast<double>(matched_a.size());
  const double jaro =
      (matches / static_cast<double>(a.size()) + matches / static_cast<double>(b.size()) +
       (matches - static_cast<double>(swapped) / 2) / matches) /
      3;
  size_t prefix = 0;
  while (prefix < 4 && prefix < a.size() && prefix < b.size() && a[prefix] == b[prefix]) ++prefix;
  return jaro + static_cast<double>(prefix) * 0.1 * (1 - jaro);
}

NameSearch::NameSearch(std::vector<std::string> terms, Algorithm algorithm, double threshold,
                       bool case_sensitive)
    : terms_(std::move(terms)),
      algorithm_(algorithm),
      threshold_(threshold),
      case_sensitive_(case_sensitive) {
  if (case_sensitive_) return;
  for (std::string& term : terms_) term = ToLowerAscii(term);
}

std::optional<double> NameSearch::Score(std::string_view name) const {
  if (terms_.empty()) return 1;
  const std::string lower = case_sensitive_ ? std::string() : ToLowerAscii(name);
  const std::string_view compared = case_sensitive_ ? name : std::string_view(lower);
  std::optional<double> best;
  for (const std::string& term : terms_) {
    const std::optional<double> score = ScoreTerm(term, compared);
    if (score.has_value() && (!best.has_value() || *best < *score)) best = score;
  }
  return best;
}

std::optional<double> NameSearch::ScoreTerm(const std::string& term, std::string_view name) const {
  if (name.starts_with(term)) return 1;  // The empty term as well.
  double score = 0;
  if (algorithm_ == Algorithm::kJaroWinkler) {
    if (name.find(term) != std::string_view::npos) return 0.9;
    if (threshold_ == 0) return std::nullopt;
    score = JaroWinkler(term, name);
  } else {
    score = SubsequenceScore(term, name);
    if (score == 0) return std::nullopt;
  }
  if (score < threshold_) return std::nullopt;
  return score;
}

}  // namespace narthex::query_api
