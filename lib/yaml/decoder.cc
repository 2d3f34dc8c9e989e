#include "lib/yaml/decoder.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "lib/base/duration.h"
#include "lib/yaml/document.h"

namespace narthex::yaml {
namespace {

using internal::Node;

// A merge's depth: "<<" inside a merged mapping. Aliases cannot be cyclic, so this only bounds
// recursion.
constexpr int kMergeDepthMax = 100;

bool IsAnyOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// YAML 1.1 as Go's yaml.v2 reads it.
bool ParseBool(std::string_view text, bool* out) {
  if (IsAnyOf(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    *out = true;
    return true;
  }
  if (IsAnyOf(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) {
    *out = false;
    return true;
  }
  return false;
}

// An integer: decimal, 0x, 0b, 0o or 0 for octal, with a sign and underscores. False when it is
// none or above 64 bits.
bool ParseInteger(std::string_view text, bool* negative, uint64_t* magnitude) {
  std::string digits;
  digits.reserve(text.size());
  for (const char c : text) {
    if (c != '_') digits.push_back(c);
  }
  std::string_view rest = digits;
  *negative = rest.starts_with('-');
  if (*negative || rest.starts_with('+')) rest.remove_prefix(1);
  int base = 10;
  const auto take = [&](std::string_view prefix, int value) {
    if (base != 10 || !rest.starts_with(prefix) || rest.size() == prefix.size()) return;
    rest.remove_prefix(prefix.size());
    base = value;
  };
  take("0x", 16);
  take("0b", 2);
  take("0o", 8);
  take("0", 8);
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), *magnitude, base);
  return error == std::errc() && end == rest.data() + rest.size() && !rest.empty();
}

// A float as YAML writes it: ".5", "1e3", ".inf", ".nan".
bool ParseFloat(std::string_view text, double* out) {
  if (IsAnyOf(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"})) {
    *out = std::numeric_limits<double>::infinity();
    return true;
  }
  if (IsAnyOf(text, {"-.inf", "-.Inf", "-.INF"})) {
    *out = -std::numeric_limits<double>::infinity();
    return true;
  }
  if (IsAnyOf(text, {".nan", ".NaN", ".NAN"})) {
    *out = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) {
    return false;
  }
  return ParseDouble(text, out);
}

std::string_view TagOf(const Value& value) {
  if (value.is_null()) return "!!null";
  if (value.is_sequence()) return "!!seq";
  if (value.is_mapping()) return "!!map";
  if (value.quoted()) return "!!str";
  bool boolean = false;
  bool negative = false;
  uint64_t magnitude = 0;
  double number = 0;
  if (ParseBool(value.text(), &boolean)) return "!!bool";
  if (ParseInteger(value.text(), &negative, &magnitude)) return "!!int";
  if (ParseFloat(value.text(), &number)) return "!!float";
  return "!!str";
}

bool IsMerge(const Node& key) {
  return key.kind == Node::Kind::kScalar && !key.quoted && key.text == "<<";
}

// "a/./b/../c" becomes "a/c", as Go's path.Clean.
std::string CleanPath(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string> parts;
  for (const std::string_view part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty() && parts.back() != "..") {
        parts.pop_back();
        continue;
      }
      if (rooted) continue;
    }
    parts.emplace_back(part);
  }
  const std::string joined = Join(parts, "/");
  if (rooted) return "/" + joined;
  return joined.empty() ? "." : joined;
}

}  // namespace

Value Document::root() const { return Value(rep_.get(), rep_->root, ""); }
int Document::second_document_line() const { return rep_->second_document_line; }
const std::string& Document::file_name() const { return rep_->file_name; }

bool Value::is_null() const { return node_->kind == Node::Kind::kNull; }
bool Value::is_scalar() const { return node_->kind == Node::Kind::kScalar; }
bool Value::is_sequence() const { return node_->kind == Node::Kind::kSequence; }
bool Value::is_mapping() const { return node_->kind == Node::Kind::kMapping; }
const std::string& Value::text() const { return node_->text; }
bool Value::quoted() const { return node_->quoted; }
int Value::line() const { return node_->line; }
int Value::column() const { return node_->column; }

absl::Status Value::MakeError(std::string_view reason) const {
  return InvalidArgument(document_->file_name, ":", node_->line, ":", node_->column, ": ", path_,
                         path_.empty() ? "" : ": ", reason);
}

absl::Status Value::WrongType(std::string_view type) const {
  std::string shown;
  if (is_scalar()) {
    // Shortened as Go does: it may be a secret in the wrong place.
    shown =
        text().size() > 10 ? StrCat(" `", text().substr(0, 7), "...`") : StrCat(" `", text(), "`");
  }
  return Error("cannot unmarshal ", TagOf(*this), shown, " into ", type);
}

absl::StatusOr<std::vector<Value>> Value::Items(std::string_view type) const {
  std::vector<Value> items;
  if (is_null()) return items;
  if (!is_sequence()) return WrongType(type);
  items.reserve(node_->items.size());
  for (size_t i = 0; i < node_->items.size(); ++i) {
    items.push_back(Value(document_, node_->items[i], StrCat(path_, "[", i, "]")));
  }
  return items;
}

namespace {

// The entries of `mapping` with merges written out: its own first, then those of the merged
// mappings it lacks.
struct FlatEntry {
  const Node* key;
  const Node* value;
};

// Why a mapping cannot be flattened: the node at fault and the reason.
struct FlattenError {
  const Node* node;
  std::string reason;
};

std::optional<FlattenError> Flatten(const Node& mapping, int depth, bool own, bool fields,
                                    std::string_view type,
                                    std::unordered_set<std::string_view>* seen,
                                    std::vector<FlatEntry>* out) {
  if (depth > kMergeDepthMax) return FlattenError{&mapping, "exceeded max depth of merges"};
  for (const auto& [key, value] : mapping.entries) {
    if (IsMerge(*key)) continue;
    if (key->kind != Node::Kind::kScalar && key->kind != Node::Kind::kNull) {
      return FlattenError{key, "invalid map key"};
    }
    if (seen->insert(key->text).second) {
      out->push_back({key, value});
    } else if (own) {
      return FlattenError{key, fields ? StrCat("field ", key->text, " already set in type ", type)
                                      : StrCat("key ", Quote(key->text), " already set in map")};
    }
  }
  for (const auto& [key, value] : mapping.entries) {
    if (!IsMerge(*key)) continue;
    std::vector<const Node*> sources;
    if (value->kind == Node::Kind::kSequence) {
      sources = value->items;
    } else {
      sources.push_back(value);
    }
    for (const Node* source : sources) {
      if (source->kind != Node::Kind::kMapping) {
        return FlattenError{source, "map merge requires map or sequence of maps as the value"};
      }
      if (auto error = Flatten(*source, depth + 1, /*own=*/false, fields, type, seen, out)) {
        return error;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::vector<Value::Entry>> Value::Entries(std::string_view type, bool fields) const {
  std::vector<Entry> entries;
  if (is_null()) return entries;
  if (!is_mapping()) return WrongType(type);
  std::vector<FlatEntry> flat;
  std::unordered_set<std::string_view> seen;
  if (const auto error = Flatten(*node_, 0, /*own=*/true, fields, type, &seen, &flat)) {
    const std::string path = error->node->text.empty()
                                 ? path_
                                 : StrCat(path_, path_.empty() ? "" : ".", error->node->text);
    return Value(document_, error->node, path).Error(error->reason);
  }
  entries.reserve(flat.size());
  for (const FlatEntry& entry : flat) {
    const std::string path = StrCat(path_, path_.empty() ? "" : ".", entry.key->text);
    entries.push_back({Value(document_, entry.key, path), Value(document_, entry.value, path)});
  }
  return entries;
}

absl::Status DecodeYaml(const Value& value, std::string* out) {
  if (!value.is_null() && !value.is_scalar()) return value.WrongType("string");
  *out = value.text();
  return absl::OkStatus();
}

absl::Status DecodeYaml(const Value& value, bool* out) {
  *out = false;
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_scalar() || value.quoted() || !ParseBool(value.text(), out)) {
    return value.WrongType("bool");
  }
  return absl::OkStatus();
}

absl::Status DecodeYaml(const Value& value, double* out) {
  *out = 0;
  if (value.is_null()) return absl::OkStatus();
  bool negative = false;
  uint64_t magnitude = 0;
  if (value.is_scalar() && !value.quoted()) {
    if (ParseInteger(value.text(), &negative, &magnitude)) {
      *out = negative ? -static_cast<double>(magnitude) : static_cast<double>(magnitude);
      return absl::OkStatus();
    }
    if (ParseFloat(value.text(), out)) return absl::OkStatus();
  }
  return value.WrongType("float64");
}

absl::Status DecodeInt64(const Value& value, int64_t min, int64_t max, std::string_view type,
                         int64_t* out) {
  *out = 0;
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_scalar() || value.quoted()) return value.WrongType(type);
  bool negative = false;
  uint64_t magnitude = 0;
  if (ParseInteger(value.text(), &negative, &magnitude)) {
    constexpr uint64_t kTop = uint64_t{1} << 63;
    if (magnitude > kTop || (magnitude == kTop && !negative)) return value.WrongType(type);
    *out = negative ? static_cast<int64_t>(~magnitude + 1) : static_cast<int64_t>(magnitude);
  } else {
    // Go takes floats and drops what is behind the point.
    double number = 0;
    if (!ParseFloat(value.text(), &number) || !(std::fabs(number) < 9.2e18)) {
      return value.WrongType(type);
    }
    *out = static_cast<int64_t>(number);
  }
  if (*out < min || *out > max) return value.WrongType(type);
  return absl::OkStatus();
}

absl::Status DecodeYaml(const Value& value, uint64_t* out) {
  *out = 0;
  if (value.is_null()) return absl::OkStatus();
  bool negative = false;
  if (!value.is_scalar() || value.quoted()) return value.WrongType("uint");
  if (ParseInteger(value.text(), &negative, out)) {
    return negative && *out != 0 ? value.WrongType("uint") : absl::OkStatus();
  }
  double number = 0;
  if (!ParseFloat(value.text(), &number) || !(number >= 0 && number < 1.8e19)) {
    return value.WrongType("uint");
  }
  *out = static_cast<uint64_t>(number);
  return absl::OkStatus();
}

absl::Status DecodeYaml(const Value& value, absl::Duration* out) {
  *out = absl::ZeroDuration();
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_scalar()) return value.WrongType("duration");
  absl::StatusOr<absl::Duration> parsed = ParseDuration(value.text());
  if (!parsed.ok()) return value.Error(Message(parsed.status()));
  *out = *parsed;
  return absl::OkStatus();
}

void ResolvePath(const Value& value, std::string* path) {
  if (path->empty() || path->front() == '/') return;
  const std::string& file = value.document_->file_name;
  const size_t slash = file.rfind('/');
  *path = CleanPath(slash == std::string::npos ? *path : StrCat(file.substr(0, slash + 1), *path));
}

void ResolvePath(const Value& value, std::vector<std::string>* paths) {
  for (std::string& path : *paths) ResolvePath(value, &path);
}

Mapping::Mapping(const Value& value, std::string_view type) : value_(value), type_(type) {
  absl::StatusOr<std::vector<Value::Entry>> entries = value.Entries(type, /*fields=*/true);
  if (entries.ok()) {
    entries_ = *std::move(entries);
  } else {
    status_ = std::move(entries).status();
  }
  known_.resize(entries_.size());
}

const Value* Mapping::Find(std::string_view key) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].key.text() == key) {
      known_[i] = true;
      return &entries_[i].value;
    }
  }
  return nullptr;
}

const Value* Mapping::Peek(std::string_view key) const {
  for (const Value::Entry& entry : entries_) {
    if (entry.key.text() == key) return &entry.value;
  }
  return nullptr;
}

absl::Status Mapping::ErrorAt(std::string_view key, std::string_view reason) const {
  for (const Value::Entry& entry : entries_) {
    if (entry.key.text() == key) return entry.key.Error(reason);
  }
  return value_.Error(reason);
}

absl::Status Mapping::Finish() const {
  NARTHEX_RETURN_IF_ERROR(status_);
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (known_[i]) continue;
    return entries_[i].key.Error("field ", entries_[i].key.text(), " not found in type ", type_);
  }
  return absl::OkStatus();
}

}  // namespace narthex::yaml
