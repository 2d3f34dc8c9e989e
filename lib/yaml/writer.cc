#include "lib/yaml/writer.h"

#include <algorithm>

#include "lib/base/duration.h"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::yaml {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Whether a reader might take the plain text for something else than a string: number, boolean,
// null, merge, time.
bool LooksTyped(std::string_view text) {
  for (const std::string_view word : {"y", "n", "yes", "no", "on", "off", "true", "false", "null",
                                      "~", ".inf", "-.inf", "+.inf", ".nan", "<<", "="}) {
    if (EqualsIgnoreCaseAscii(text, word)) return true;
  }
  std::string_view rest = text;
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.starts_with('.')) rest.remove_prefix(1);
  if (rest.empty() || !IsDigit(rest[0])) return false;
  // Numbers in any base, with '_' and exponents, base 60 ("1:30"), and dates: all consist of these
  // and begin with a digit.
  if (rest.starts_with("0x") || rest.starts_with("0o") || rest.starts_with("0b")) {
    return rest.find_first_not_of("0123456789abcdefABCDEF_xo") == std::string_view::npos;
  }
  if (rest.find_first_not_of("0123456789_.eE+-:") != std::string_view::npos) {
    // Times: "2001-12-14T21:59:43Z".
    return rest.size() >= 10 && rest[4] == '-' && rest[7] == '-' &&
           rest.find_first_not_of("0123456789-:.TtZz +") == std::string_view::npos;
  }
  const size_t dots = static_cast<size_t>(std::count(rest.begin(), rest.end(), '.'));
  return dots <= 1;  // "1.2.3.4" is no number.
}

bool IsPlain(std::string_view text) {
  if (text.empty() || LooksTyped(text)) return false;
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  if (text.starts_with("---") || text.starts_with("...")) return false;
  if (std::string_view("#,[]{}&*!|>'\"%@`").find(text[0]) != std::string_view::npos) return false;
  if ((text[0] == '-' || text[0] == '?' || text[0] == ':') &&
      (text.size() == 1 || text[1] == ' ')) {
    return false;
  }
  return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos;
}

bool NeedsEscapes(std::string_view text) {
  if (!IsValidUtf8(text)) return true;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return true;
  }
  return text.find("\xC2\x85") != std::string_view::npos ||
         text.find("\xE2\x80\xA8") != std::string_view::npos ||
         text.find("\xE2\x80\xA9") != std::string_view::npos ||
         text.find("\xEF\xBB\xBF") != std::string_view::npos;
}

std::string DoubleQuoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    size_t length = 0;
    const char32_t rune = DecodeRune(text.substr(i), &length);
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (rune < 0x20 || rune == 0x7F || rune == 0x85 || rune == 0x2028 || rune == 0x2029 ||
               rune == 0xFEFF) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(rune >> shift) & 0xF];
    } else {
      AppendRune(&out, rune);
    }
    i += length;
  }
  out += '"';
  return out;
}

void RenderValue(const Tree& tree, size_t indent, std::string* out);

void RenderMapping(const Tree& tree, size_t indent, std::string* out) {
  for (const auto& [key, value] : tree.entries) {
    out->append(indent, ' ');
    StrAppend(out, key, ":");
    RenderValue(value, indent, out);
  }
}

void RenderSequence(const Tree& tree, size_t indent, std::string* out) {
  for (const Tree& item : tree.items) {
    const size_t begin = out->size();
    if (item.kind == Tree::Kind::kMapping && !item.entries.empty()) {
      RenderMapping(item, indent + 2, out);
      (*out)[begin + indent] = '-';
    } else if (item.kind == Tree::Kind::kSequence && !item.items.empty()) {
      RenderSequence(item, indent + 2, out);
      (*out)[begin + indent] = '-';
    } else {
      out->append(indent, ' ');
      out->push_back('-');
      RenderValue(item, indent, out);
    }
  }
}

// " [a, 'b,c']"
void RenderFlow(const Tree& tree, std::string* out) {
  out->append(" [");
  for (size_t i = 0; i < tree.items.size(); ++i) {
    const std::string& text = tree.items[i].text;
    const bool quoted = text.starts_with('"') || text.starts_with('\'');
    // Plain text must not hold what ends an element.
    const bool plain = quoted || text.find_first_of(",[]{}?") == std::string::npos;
    StrAppend(out, i == 0 ? "" : ", ", plain ? "" : "'", text, plain ? "" : "'");
  }
  out->append("]\n");
}

// What follows "key:" or "-".
void RenderValue(const Tree& tree, size_t indent, std::string* out) {
  switch (tree.kind) {
    case Tree::Kind::kScalar:
      StrAppend(out, " ", tree.text, "\n");
      return;
    case Tree::Kind::kSequence:
      if (tree.flow) return RenderFlow(tree, out);
      out->append(tree.items.empty() ? " []\n" : "\n");
      RenderSequence(tree, indent, out);
      return;
    case Tree::Kind::kMapping:
      out->append(tree.entries.empty() ? " {}\n" : "\n");
      RenderMapping(tree, indent + 2, out);
      return;
  }
}

}  // namespace

std::string QuoteScalar(std::string_view text) {
  if (NeedsEscapes(text)) return DoubleQuoted(text);
  if (IsPlain(text)) return std::string(text);
  if (text.empty() || LooksTyped(text)) return StrCat("\"", text, "\"");
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  out += '\'';
  return out;
}

Tree Scalar(std::string text, bool empty) { return Tree{.text = std::move(text), .empty = empty}; }
Tree EncodeYaml(std::string_view text) { return Scalar(QuoteScalar(text), text.empty()); }
Tree EncodeYaml(bool value) { return Scalar(value ? "true" : "false", !value); }
Tree EncodeYaml(double value) { return Scalar(FormatFloatG(value), value == 0); }
Tree EncodeYaml(absl::Duration value) {
  return Scalar(FormatDuration(value), value == absl::ZeroDuration());
}

MappingWriter MappingWriter::OfEverything() {
  MappingWriter writer;
  writer.everything_ = true;
  return writer;
}

bool MappingWriter::DefaultIsZero(const std::string& key) const {
  if (defaults_ == nullptr) return true;
  for (const Tree::Entry& entry : defaults_->entries) {
    if (entry.key == key) return entry.value.empty;
  }
  return true;
}

void MappingWriter::Add(std::string_view key, Tree value, Policy policy) {
  std::string quoted = QuoteScalar(key);
  if (value.empty && policy != Policy::kAlways && !everything_ && DefaultIsZero(quoted)) return;
  tree_.entries.push_back({std::move(quoted), std::move(value)});
}

Tree MappingWriter::Take() {
  tree_.empty = tree_.entries.empty();
  return std::move(tree_);
}

std::string Render(const Tree& tree) {
  std::string out;
  switch (tree.kind) {
    case Tree::Kind::kScalar:
      out = tree.text + "\n";
      break;
    case Tree::Kind::kSequence:
      if (tree.items.empty()) return "[]\n";
      RenderSequence(tree, 0, &out);
      break;
    case Tree::Kind::kMapping:
      if (tree.entries.empty()) return "{}\n";
      RenderMapping(tree, 0, &out);
      break;
  }
  return out;
}

}  // namespace narthex::yaml
