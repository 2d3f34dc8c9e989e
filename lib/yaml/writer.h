#ifndef NARTHEX_LIB_YAML_WRITER_H_
#define NARTHEX_LIB_YAML_WRITER_H_

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/yaml/decoder.h"

// Writes YAML as Go's yaml.v2 does: block style, two spaces, sequences not indented, quotes only
// where they are needed. A struct lists its fields once, for reading and for writing:
//
//   template <typename Fields>  // Mapping or MappingWriter
//   void ListFields(Fields& fields, QueueConfig& config) {
//     fields("capacity", config.capacity);
//     fields("retry_on_http_429", config.retry_on_http_429, yaml::Policy::kAlways);
//   }
//   yaml::Tree EncodeYaml(const QueueConfig& config) { return yaml::WriteFields(config); }
namespace narthex::yaml {

// A value to be written. Plain data.
struct Tree {
  struct Entry;
  enum class Kind { kScalar, kSequence, kMapping };
  Kind kind = Kind::kScalar;
  std::string text;            // Of a scalar, already quoted.
  std::vector<Tree> items;     // Of a sequence.
  std::vector<Entry> entries;  // Of a mapping.

  bool flow = false;  // A sequence of scalars on one line: [a, b].
  // The zero of its type, which kOmitEmpty leaves out.
  bool empty = false;
};

struct Tree::Entry {
  std::string key;  // Already quoted.
  Tree value;
};

// A string as a scalar: plain, quoted, or escaped, so that it reads back as the same string.
std::string QuoteScalar(std::string_view text);

Tree Scalar(std::string text, bool empty);  // `text` as it is.
Tree EncodeYaml(std::string_view text);
inline Tree EncodeYaml(const std::string& text) { return EncodeYaml(std::string_view(text)); }
Tree EncodeYaml(bool value);
Tree EncodeYaml(double value);
Tree EncodeYaml(absl::Duration value);
template <std::integral T>
Tree EncodeYaml(T value) {
  return Scalar(StrCat(value), value == 0);
}
template <typename T>
Tree EncodeYaml(const std::vector<T>& values);
template <typename T>
Tree EncodeYaml(const std::optional<T>& value);
template <typename T>
Tree EncodeYaml(const std::map<std::string, T>& values);

template <typename T>
Tree EncodeYaml(const std::vector<T>& values) {
  Tree tree{.kind = Tree::Kind::kSequence, .empty = values.empty()};
  for (const T& value : values) tree.items.push_back(EncodeYaml(value));
  return tree;
}
// Present values are written even when they are zero.
template <typename T>
Tree EncodeYaml(const std::optional<T>& value) {
  if (!value.has_value()) return Scalar("null", true);
  Tree tree = EncodeYaml(*value);
  tree.empty = false;
  return tree;
}
template <typename T>
Tree EncodeYaml(const std::map<std::string, T>& values) {
  Tree tree{.kind = Tree::Kind::kMapping, .empty = values.empty()};
  for (const auto& [key, value] : values) {
    tree.entries.push_back({QuoteScalar(key), EncodeYaml(value)});
  }
  return tree;
}

// Collects the fields of one struct. Thread safety: none.
class MappingWriter {
 public:
  MappingWriter() = default;
  // `defaults` holds all fields of a default struct: a zero is written where the default is none.
  // It must outlive the writer.
  explicit MappingWriter(const Tree* defaults) : defaults_(defaults) {}
  // Writes every field, for such defaults.
  static MappingWriter OfEverything();

  template <typename T>
  void operator()(std::string_view key, const T& value, Policy policy = Policy::kOmitEmpty) {
    Add(key, EncodeYaml(value), policy);
  }
  void Add(std::string_view key, Tree value, Policy policy = Policy::kOmitEmpty);
  Tree Take();  // Empty when no field was written.

 private:
  bool DefaultIsZero(const std::string& key) const;

  const Tree* defaults_ = nullptr;
  bool everything_ = false;
  Tree tree_{.kind = Tree::Kind::kMapping};
};

// The fields that ListFields(MappingWriter&, T&) names, found by argument-dependent lookup (so in
// T's namespace itself). MappingWriter only reads them.
template <typename T>
Tree WriteFields(const T& config) {
  T default_config{};
  MappingWriter everything = MappingWriter::OfEverything();
  ListFields(everything, default_config);
  const Tree defaults = everything.Take();
  MappingWriter fields(&defaults);
  ListFields(fields, const_cast<T&>(config));
  return fields.Take();
}

// The document, ending in a newline.
std::string Render(const Tree& tree);

}  // namespace narthex::yaml

#endif  // NARTHEX_LIB_YAML_WRITER_H_
