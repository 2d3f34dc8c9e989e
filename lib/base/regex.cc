#include "lib/base/regex.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex {
namespace {

// Large alternations overflow RE2's default budget for its automaton (8 MiB) and become ten times
// slower without a word.
constexpr int64_t kMemoryMax = int64_t{64} << 20;
constexpr size_t kLiteralsMax = 256;
constexpr uint8_t kRuneSelf = 0x80;  // Smaller bytes are characters by themselves.

re2::StringPiece ToPiece(std::string_view text) { return {text.data(), text.size()}; }

// Go accepts (?<name>…), this RE2 only (?P<name>…). Go has no \C. Returns the pattern for RE2, or
// an error in Go's words.
absl::StatusOr<std::string> Translate(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[i + 1];
      if (next == 'C') {
        return InvalidArgument("error parsing regexp: invalid escape sequence: `\\C`");
      }
      if (next == 'Q' && !in_class) {
        const size_t end = std::min(pattern.find("\\E", i + 2), pattern.size());
        out.append(pattern.substr(i, end - i));
        i = end - 1;
        continue;
      }
      out.append(pattern.substr(i, 2));
      ++i;
      continue;
    }
    if (c == '[' && !in_class) {
      in_class = true;
      out += c;
      // A ] right after [ or [^ is a literal.
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += pattern[++i];
      continue;
    }
    if (c == '[' && in_class && pattern.substr(i, 2) == "[:") {
      const size_t end = pattern.find(":]", i + 2);
      if (end != std::string_view::npos) {
        out.append(pattern.substr(i, end + 2 - i));
        i = end + 1;
        continue;
      }
    }
    if (c == ']') in_class = false;
    if (!in_class && pattern.substr(i, 3) == "(?<") {
      out += "(?P<";
      i += 2;
      continue;
    }
    out += c;
  }
  return out;
}

absl::Status ToGoError(const re2::RE2& re, std::string_view pattern) {
  const std::string& arg = re.error_arg();
  const auto error = [](std::string_view text, std::string_view what) {
    return InvalidArgument("error parsing regexp: ", text, ": `", what, "`");
  };
  switch (re.error_code()) {
    case re2::RE2::ErrorBadEscape:
      return error("invalid escape sequence", arg);
    case re2::RE2::ErrorBadCharClass:
    case re2::RE2::ErrorBadCharRange:
      return error("invalid character class range", arg);
    case re2::RE2::ErrorMissingBracket:
      return error("missing closing ]", arg);
    case re2::RE2::ErrorMissingParen:
      return error("missing closing )", pattern);
    case re2::RE2::ErrorUnexpectedParen:
      return error("unexpected )", pattern);
    case re2::RE2::ErrorTrailingBackslash:
      return error("trailing backslash at end of expression", "");
    case re2::RE2::ErrorRepeatArgument:
      return error("missing argument to repetition operator", arg);
    case re2::RE2::ErrorRepeatSize:
      return error("invalid repeat count", arg);
    case re2::RE2::ErrorRepeatOp:
      return error("invalid nested repetition operator", arg);
    case re2::RE2::ErrorBadPerlOp:
      return error("invalid or unsupported Perl syntax", arg);
    case re2::RE2::ErrorBadUTF8:
      return error("invalid UTF-8", arg);
    case re2::RE2::ErrorBadNamedCapture:
      return error("invalid named capture", arg);
    case re2::RE2::ErrorPatternTooLarge:
      return error("expression too large", pattern);
    case re2::RE2::NoError:
    case re2::RE2::ErrorInternal:
      break;
  }
  return error("internal error", re.error());
}

bool IsMeta(char c) {
  return std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos;
}

// The character that stands at the start of an expression for itself: plain, escaped ("\\."), or
// alone in a class ("[.]"). Gives the size of its writing, 0 when there is none.
size_t ReadLiteral(std::string_view pattern, std::string_view* literal) {
  if (pattern.empty()) return 0;
  if (pattern[0] == '\\') {
    // Only escaped punctuation is a literal for sure.
    if (pattern.size() < 2 || !(IsMeta(pattern[1]) || pattern[1] == '-' || pattern[1] == '/')) {
      return 0;
    }
    *literal = pattern.substr(1, 1);
    return 2;
  }
  if (pattern[0] == '[') {
    const bool alone = pattern.size() >= 3 && pattern[2] == ']' && pattern[1] != '^' &&
                       pattern[1] != '\\' && pattern[1] != '[' && pattern[1] != ']' &&
                       static_cast<uint8_t>(pattern[1]) < kRuneSelf;
    if (!alone) return 0;
    *literal = pattern.substr(1, 1);
    return 3;
  }
  if (IsMeta(pattern[0])) return 0;
  size_t size = 0;
  if (IsInvalidRune(DecodeRune(pattern, &size), size)) return 0;
  *literal = pattern.substr(0, size);
  return size;
}

// Reads an expression that is made only of literal characters, groups and alternations, and
// collects all strings it matches.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view pattern) : rest_(pattern) {}

  std::optional<std::vector<std::string>> Read() {
    auto all = Alternation(0);
    if (!all || !rest_.empty()) return std::nullopt;
    std::sort(all->begin(), all->end());
    all->erase(std::unique(all->begin(), all->end()), all->end());
    return all;
  }

 private:
  using Strings = std::optional<std::vector<std::string>>;

  Strings Alternation(int depth) {
    std::vector<std::string> all;
    while (true) {
      Strings branch = Concatenation(depth);
      if (!branch || all.size() + branch->size() > kLiteralsMax) return std::nullopt;
      all.insert(all.end(), branch->begin(), branch->end());
      if (rest_.empty() || rest_[0] != '|') return all;
      rest_.remove_prefix(1);
    }
  }

  Strings Concatenation(int depth) {
    std::vector<std::string> all = {""};
    // Anchors at the ends of the whole say what holds anyway.
    if (depth == 0 && !rest_.empty() && rest_[0] == '^') rest_.remove_prefix(1);
    while (!rest_.empty() && rest_[0] != '|' && rest_[0] != ')') {
      if (depth == 0 && (rest_ == "$" || rest_.substr(0, 2) == "$|")) {
        rest_.remove_prefix(1);
        break;
      }
      Strings atom = Atom(depth);
      // A quantifier behind the atom makes it no literal.
      if (!atom ||
          (!rest_.empty() && std::string_view("*+?{").find(rest_[0]) != std::string_view::npos) ||
          all.size() * atom->size() > kLiteralsMax) {
        return std::nullopt;
      }
      std::vector<std::string> joined;
      joined.reserve(all.size() * atom->size());
      for (const std::string& head : all) {
        for (const std::string& tail : *atom) joined.push_back(head + tail);
      }
      all = std::move(joined);
    }
    return all;
  }

  Strings Atom(int depth) {
    if (rest_[0] == '(') {
      if (depth >= 8) return std::nullopt;
      rest_.remove_prefix(1);
      if (rest_.substr(0, 2) == "?:") rest_.remove_prefix(2);
      Strings inner = Alternation(depth + 1);
      if (!inner || rest_.empty() || rest_[0] != ')') return std::nullopt;
      rest_.remove_prefix(1);
      return inner;
    }
    std::string_view literal;
    const size_t size = ReadLiteral(rest_, &literal);
    if (size == 0) return std::nullopt;
    std::vector<std::string> one = {std::string(literal)};
    rest_.remove_prefix(size);
    return one;
  }

  std::string_view rest_;
};

// The literal that every match starts with.
std::string ReadPrefix(std::string_view pattern) {
  // An alternation anywhere may be at the top level; telling needs a parser, and a prefix is only a
  // shortcut.
  if (pattern.find('|') != std::string_view::npos) return "";
  std::string prefix;
  if (!pattern.empty() && pattern[0] == '^') pattern.remove_prefix(1);
  while (!pattern.empty()) {
    std::string_view next;
    const size_t size = ReadLiteral(pattern, &next);
    if (size == 0) break;
    pattern.remove_prefix(size);
    if (!pattern.empty() && std::string_view("*?{").find(pattern[0]) != std::string_view::npos)
      break;
    prefix += next;
    if (!pattern.empty() && pattern[0] == '+') break;
  }
  return prefix;
}

// An expression that is literals with `.*` and `.+` between them, or some such in an alternation,
// as most are that people write to select series ("host-.*[.]example[.]org", ".*error.*",
// "web-.*|api-.*"): finding the literals one after the other is several times faster than an
// automaton.
class Wildcards {
 public:
  // Nothing when the expression is of another kind.
  static std::optional<Wildcards> Read(std::string_view pattern) {
    // A group around all of it.
    if (pattern.size() >= 2 && pattern.front() == '(' && pattern.back() == ')') {
      pattern = pattern.substr(1, pattern.size() - 2);
      if (pattern.substr(0, 2) == "?:") pattern.remove_prefix(2);
    }
    Wildcards wildcards;
    bool gaps = false;
    while (true) {
      std::optional<Parts> parts = ReadAlternative(&pattern);
      if (!parts || wildcards.alternatives_.size() == kAlternativesMax) return std::nullopt;
      gaps = gaps || parts->size() > 1 || parts->front().any;
      wildcards.alternatives_.push_back(*std::move(parts));
      if (pattern.empty()) break;
      pattern.remove_prefix(1);
    }
    if (!gaps) return std::nullopt;
    return wildcards;
  }

  // REQUIRES: text is ASCII, where a gap of one byte is one of one character.
  bool Match(std::string_view text) const {
    return std::any_of(alternatives_.begin(), alternatives_.end(),
                       [text](const Parts& parts) { return MatchParts(parts, text); });
  }

  // What all matches begin with.
  std::string Prefix() const {
    std::string_view prefix = alternatives_[0][0].literal;
    for (const Parts& parts : alternatives_) {
      const std::string& literal = parts[0].literal;
      const auto ends = std::mismatch(prefix.begin(), prefix.end(), literal.begin(), literal.end());
      prefix = prefix.substr(0, static_cast<size_t>(ends.first - prefix.begin()));
    }
    prefix = prefix.substr(0, prefix.find(kAny));
    // A character that only begins alike is none.
    while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) >= kRuneSelf) {
      prefix.remove_suffix(1);
    }
    return std::string(prefix);
  }

 private:
  static constexpr char kAny = '\0';  // Stands for a `.` in a literal.
  static constexpr size_t kAlternativesMax = 16;
  static constexpr size_t kPartsMax = 16;
  struct Part {
    size_t gap_min = 0;  // Of the gap before the literal; the first part has no gap.
    bool any = false;    // There is a kAny in the literal.
    std::string literal;
  };
  using Parts = std::vector<Part>;

  // Up to the next `|`, or the end.
  static std::optional<Parts> ReadAlternative(std::string_view* pattern) {
    Parts parts(1);
    std::string_view rest = *pattern;
    if (!rest.empty() && rest[0] == '^') rest.remove_prefix(1);
    while (!rest.empty() && rest[0] != '|') {
      std::string_view literal;
      if (rest == "$" || rest.substr(0, 2) == "$|") {
        rest.remove_prefix(1);
        break;
      }
      if (rest.substr(0, 2) == ".*" || rest.substr(0, 2) == ".+") {
        if (parts.size() == kPartsMax) return std::nullopt;
        parts.push_back({rest[1] == '+' ? size_t{1} : size_t{0}, false, ""});
        rest.remove_prefix(2);
        // Whether a gap is greedy makes no difference to a match of the whole.
        if (!rest.empty() && rest[0] == '?') rest.remove_prefix(1);
      } else if (rest[0] == '.') {
        parts.back().literal += kAny;
        parts.back().any = true;
        rest.remove_prefix(1);
      } else if (const size_t size = ReadLiteral(rest, &literal); size > 0 && literal[0] != kAny) {
        parts.back().literal += literal;
        rest.remove_prefix(size);
      } else {
        return std::nullopt;
      }
      if (!rest.empty() && std::string_view("*+?{").find(rest[0]) != std::string_view::npos) {
        return std::nullopt;
      }
    }
    *pattern = rest;
    return parts;
  }

  // Whether the part's literal is at the beginning of the text.
  static bool StartsWith(std::string_view text, const Part& part) {
    const std::string& literal = part.literal;
    if (!part.any) return text.substr(0, literal.size()) == literal;
    return text.size() >= literal.size() &&
           std::equal(literal.begin(), literal.end(), text.begin(),
                      [](char wanted, char c) { return wanted == kAny || wanted == c; });
  }
  // The first place of the part's literal from `place` on, or npos.
  static size_t Find(std::string_view text, const Part& part, size_t place) {
    if (!part.any) return text.find(part.literal, place);
    for (; place + part.literal.size() <= text.size(); ++place) {
      if (StartsWith(text.substr(place), part)) return place;
    }
    return std::string_view::npos;
  }

  static bool MatchParts(const Parts& parts, std::string_view text) {
    const Part& first = parts.front();
    if (!StartsWith(text, first)) return false;
    if (parts.size() == 1) return text.size() == first.literal.size();
    size_t place = first.literal.size();
    for (size_t i = 1; i + 1 < parts.size(); ++i) {
      place = Find(text, parts[i], place + parts[i].gap_min);
      if (place == std::string_view::npos) return false;
      place += parts[i].literal.size();
    }
    const Part& last = parts.back();
    return text.size() >= place + last.gap_min + last.literal.size() &&
           StartsWith(text.substr(text.size() - last.literal.size()), last);
  }

  std::vector<Parts> alternatives_;
};

bool IsAscii(std::string_view text) {
  uint64_t bits = 0;
  while (text.size() >= sizeof bits) {
    bits |= LoadLittle<uint64_t>(text.data());
    text.remove_prefix(sizeof bits);
  }
  for (const char c : text) bits |= static_cast<uint8_t>(c);
  return (bits & 0x8080808080808080) == 0;
}

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

struct Regex::Rep {
  std::string pattern;
  std::unique_ptr<re2::RE2> re;
  std::map<std::string, int> groups;
  std::optional<std::vector<std::string>> literals;
  std::string prefix;
  std::optional<Wildcards> wildcards;

  // The submatches of a match of the whole text (anchored) or from `start` on.
  bool Match(std::string_view text, size_t start, re2::RE2::Anchor anchor,
             std::vector<re2::StringPiece>* groups_out) const {
    groups_out->resize(static_cast<size_t>(re->NumberOfCapturingGroups()) + 1);
    return re->Match(ToPiece(text), start, text.size(), anchor, groups_out->data(),
                     static_cast<int>(groups_out->size()));
  }

  void Expand(std::string_view replacement, const std::vector<re2::StringPiece>& matched,
              std::string* out) const {
    const auto group = [&](std::string_view name) -> std::string_view {
      uint64_t number = 0;
      if (ParseUint64(name, &number)) {
        if (number >= matched.size()) return "";
      } else {
        const auto found = groups.find(std::string(name));
        if (found == groups.end()) return "";
        number = static_cast<uint64_t>(found->second);
      }
      const re2::StringPiece& piece = matched[number];
      return {piece.data(), piece.size()};
    };
    while (!replacement.empty()) {
      const size_t dollar = std::min(replacement.find('$'), replacement.size());
      out->append(replacement.substr(0, dollar));
      replacement.remove_prefix(dollar);
      if (replacement.empty()) return;
      replacement.remove_prefix(1);
      if (!replacement.empty() && replacement[0] == '$') {
        out->push_back('$');
        replacement.remove_prefix(1);
        continue;
      }
      const bool brace = !replacement.empty() && replacement[0] == '{';
      size_t length = brace ? 1 : 0;
      while (length < replacement.size() && IsWordChar(replacement[length])) ++length;
      const std::string_view name = replacement.substr(brace ? 1 : 0, length - (brace ? 1 : 0));
      if (name.empty() || (brace && (length >= replacement.size() || replacement[length] != '}'))) {
        out->push_back('$');  // No reference: the dollar stands for itself.
        continue;
      }
      out->append(group(name));
      replacement.remove_prefix(length + (brace ? 1 : 0));
    }
  }

  static absl::StatusOr<std::shared_ptr<const Rep>> Make(std::string_view pattern,
                                                         bool dot_newline) {
    absl::StatusOr<std::string> translated = Translate(pattern);
    if (!translated.ok()) return translated.status();
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(dot_newline);
    options.set_max_mem(kMemoryMax);
    auto rep = std::make_shared<Rep>();
    rep->pattern = pattern;
    rep->re = std::make_unique<re2::RE2>(*translated, options);
    if (!rep->re->ok()) return ToGoError(*rep->re, pattern);
    rep->groups = rep->re->NamedCapturingGroups();
    rep->literals = LiteralReader(pattern).Read();
    if (!rep->literals) {
      rep->prefix = ReadPrefix(pattern);
      if (dot_newline) rep->wildcards = Wildcards::Read(pattern);
      if (rep->wildcards && rep->prefix.empty()) rep->prefix = rep->wildcards->Prefix();
    }
    return std::shared_ptr<const Rep>(std::move(rep));
  }
};

Regex::Regex() {
  static const auto* const empty = new std::shared_ptr<const Rep>(*Rep::Make("", true));
  rep_ = *empty;
}

absl::StatusOr<Regex> Regex::Compile(std::string_view pattern) {
  auto rep = Rep::Make(pattern, true);
  if (!rep.ok()) return rep.status();
  return Regex(*std::move(rep));
}

absl::StatusOr<Regex> Regex::CompileUnanchored(std::string_view pattern) {
  auto rep = Rep::Make(pattern, false);
  if (!rep.ok()) return rep.status();
  return Regex(*std::move(rep));
}

const std::string& Regex::pattern() const { return rep_->pattern; }

bool Regex::Matches(std::string_view text) const {
  if (rep_->literals) {
    return std::binary_search(rep_->literals->begin(), rep_->literals->end(), text);
  }
  if (text.substr(0, rep_->prefix.size()) != rep_->prefix) return false;
  if (rep_->wildcards && IsAscii(text)) return rep_->wildcards->Match(text);
  return rep_->re->Match(ToPiece(text), 0, text.size(), re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

bool Regex::Contains(std::string_view text) const {
  return rep_->re->Match(ToPiece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

std::optional<std::string> Regex::MatchAndExpand(std::string_view text,
                                                 std::string_view replacement) const {
  std::vector<re2::StringPiece> groups;
  if (!rep_->Match(text, 0, re2::RE2::ANCHOR_BOTH, &groups)) return std::nullopt;
  std::string out;
  rep_->Expand(replacement, groups, &out);
  return out;
}

std::string Regex::ReplaceAll(std::string_view text, std::string_view replacement) const {
  std::string out;
  std::vector<re2::StringPiece> groups;
  size_t copied = 0;
  size_t start = 0;
  while (start <= text.size() && rep_->Match(text, start, re2::RE2::UNANCHORED, &groups)) {
    const auto begin = static_cast<size_t>(groups[0].data() - text.data());
    const size_t end = begin + groups[0].size();
    out.append(text.substr(copied, begin - copied));
    // Go takes no empty match right behind another match.
    if (end > copied || begin == 0) rep_->Expand(replacement, groups, &out);
    copied = end;
    size_t width = 1;
    if (start < text.size()) DecodeRune(text.substr(start), &width);
    start = std::max(end, start + width);
  }
  out.append(text.substr(copied));
  return out;
}

const std::optional<std::vector<std::string>>& Regex::literals() const { return rep_->literals; }
const std::string& Regex::prefix() const { return rep_->prefix; }

}  // namespace narthex
