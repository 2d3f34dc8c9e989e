#ifndef NARTHEX_LIB_YAML_DECODER_H_
#define NARTHEX_LIB_YAML_DECODER_H_

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

// A strict YAML decoder. Every error names file, line, column and key:
//   prometheus.yml:12:5: scrape_configs[0].scrape_interval: not a valid duration string: "10"
//
// A struct is decoded by a function beside it, found by argument-dependent lookup:
//
//   absl::Status DecodeYaml(const yaml::Value& value, QueueConfig* out) {
//     yaml::Mapping fields(value, "config.QueueConfig");
//     fields("capacity", out->capacity);          // Absent: stays as it is. Null: the zero of its
//     type. fields("max_shards", out->max_shards); NARTHEX_RETURN_IF_ERROR(fields.Finish());   //
//     First bad value, duplicate key, or unknown key. if (out->capacity <= 0) return
//     fields.ErrorAt("capacity", "must be positive"); return absl::OkStatus();
//   }
//
// and read with
//
//   NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document, yaml::Document::Parse(text,
//   "prometheus.yml")); QueueConfig config; NARTHEX_RETURN_IF_ERROR(DecodeYaml(document.root(),
//   &config));
//
// Scalars follow Go's yaml.v2, which Prometheus and Alertmanager use: yes/no/on/off are booleans, a
// plain scalar of any form may be read as a string, a quoted one never as a number or boolean,
// !!binary is decoded. Anchors, aliases and merge keys
// ("<<"; the mapping's own keys win) work. Depth and the growth by aliases are bounded, control
// characters and invalid UTF-8 are refused.
namespace narthex::yaml {

namespace internal {
struct Node;
struct DocumentRep;
}  // namespace internal

class Value;

// What a struct's list of fields says of a field besides name and member. The list serves Mapping
// and MappingWriter alike.
enum class Policy {
  kOmitEmpty,  // Written unless it is the zero of its type (as Go's omitempty); nothing special
               // when read.
  kAlways,     // Always written.
  kPath,       // A file's path or a list of them: read relative to the folder of the document.
};

// One parsed document. Owns what its Values point to. Immutable; thread-safe.
class Document {
 public:
  enum class MoreDocuments {
    kRefuse,  // A second document is an error.
    kIgnore,  // It is not even parsed; second_document_line() says where it begins.
  };
  // `file_name` is only used in errors.
  static absl::StatusOr<Document> Parse(std::string_view text, std::string_view file_name,
                                        MoreDocuments more = MoreDocuments::kRefuse);

  // The null value when the document is empty.
  Value root() const;
  int second_document_line() const;  // 0 when there is none.
  const std::string& file_name() const;

 private:
  explicit Document(std::shared_ptr<const internal::DocumentRep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const internal::DocumentRep> rep_;
};

// A node of a document together with its place and the path of keys that led to it. Cheap enough to
// copy. Valid as long as its Document. Immutable; thread-safe.
class Value {
 public:
  bool is_null() const;
  bool is_scalar() const;  // Not null.
  bool is_sequence() const;
  bool is_mapping() const;
  // The text of a scalar, after !!binary; "" for anything else.
  const std::string& text() const;
  bool quoted() const;  // Or a block scalar: never a number, boolean or null.
  int line() const;     // From 1.
  int column() const;   // From 1.
  const std::string& path() const {
    return path_;
  }  // "scrape_configs[0].job_name"; "" for the root.

  // The elements of a sequence; none for null. Error for anything else; `type` is what was wanted
  // ("[]string").
  absl::StatusOr<std::vector<Value>> Items(std::string_view type) const;

  struct Entry;
  // The entries of a mapping in order, merges resolved; none for null. Keys are scalars; a key
  // given twice is an error that reads `key "x" already set in map`, or `field x already set in
  // type T` where `fields` is true.
  absl::StatusOr<std::vector<Entry>> Entries(std::string_view type, bool fields = false) const;

  // InvalidArgument "file:line:column: path: reason".
  template <typename... Pieces>
  absl::Status Error(const Pieces&... reason) const {
    return MakeError(StrCat(reason...));
  }
  // "cannot unmarshal !!str `abc` into int"
  absl::Status WrongType(std::string_view type) const;

 private:
  friend class Document;
  friend void ResolvePath(const Value& value, std::string* path);
  Value(const internal::DocumentRep* document, const internal::Node* node, std::string path)
      : document_(document), node_(node), path_(std::move(path)) {}
  absl::Status MakeError(std::string_view reason) const;

  const internal::DocumentRep* document_;
  const internal::Node* node_;
  std::string path_;
};

struct Value::Entry {
  Value key;
  Value value;
};

// Whole-value decoders; null gives the zero of the type, as Go does.
absl::Status DecodeYaml(const Value& value, std::string* out);
absl::Status DecodeYaml(const Value& value, bool* out);
absl::Status DecodeYaml(const Value& value, double* out);
absl::Status DecodeYaml(const Value& value, absl::Duration* out);  // Prometheus' form: "1h30m".
absl::Status DecodeInt64(const Value& value, int64_t min, int64_t max, std::string_view type,
                         int64_t* out);
absl::Status DecodeYaml(const Value& value, uint64_t* out);

template <std::signed_integral T>
absl::Status DecodeYaml(const Value& value, T* out) {
  int64_t wide = 0;
  NARTHEX_RETURN_IF_ERROR(DecodeInt64(value, std::numeric_limits<T>::min(),
                                      std::numeric_limits<T>::max(), "int", &wide));
  *out = static_cast<T>(wide);
  return absl::OkStatus();
}
template <typename T>
absl::Status DecodeYaml(const Value& value, std::vector<T>* out);
template <typename T>
absl::Status DecodeYaml(const Value& value, std::optional<T>* out);  // Null: nothing.
template <typename T>
absl::Status DecodeYaml(const Value& value, std::map<std::string, T>* out);

template <typename T>
absl::Status DecodeYaml(const Value& value, std::vector<T>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Value> items, value.Items("list"));
  out->clear();
  out->reserve(items.size());
  for (const Value& item : items) {
    T element{};
    NARTHEX_RETURN_IF_ERROR(DecodeYaml(item, &element));
    out->push_back(std::move(element));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status DecodeYaml(const Value& value, std::optional<T>* out) {
  out->reset();
  if (value.is_null()) return absl::OkStatus();
  return DecodeYaml(value, &out->emplace());
}

template <typename T>
absl::Status DecodeYaml(const Value& value, std::map<std::string, T>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Value::Entry> entries, value.Entries("map"));
  out->clear();
  for (const Value::Entry& entry : entries) {
    NARTHEX_RETURN_IF_ERROR(DecodeYaml(entry.value, &(*out)[entry.key.text()]));
  }
  return absl::OkStatus();
}

// Like a list of T, but a null element is an error with the text `null_reason` ("empty or null
// scrape config section").
template <typename T>
absl::Status DecodeList(const Value& value, std::string_view null_reason, std::vector<T>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Value> items, value.Items("list"));
  out->clear();
  for (const Value& item : items) {
    if (item.is_null()) return item.Error(null_reason);
    T element{};
    NARTHEX_RETURN_IF_ERROR(DecodeYaml(item, &element));
    out->push_back(std::move(element));
  }
  return absl::OkStatus();
}

// Joins a relative path to the folder of the document's file, lexically cleaned; an empty or
// absolute path stays. (A document named "a/b.yml" turns "../c" into "c".)
void ResolvePath(const Value& value, std::string* path);
void ResolvePath(const Value& value, std::vector<std::string>* paths);

// Reads the fields of one mapping into a struct, keeping the first error, so that the calls need no
// checks between them. Null is the empty mapping. Lives on the stack while its Value does. Thread
// safety: none.
class Mapping {
 public:
  // `type` names the struct in errors: `field foo not found in type config.plain`.
  Mapping(const Value& value, std::string_view type);

  // Decodes the field when it is there.
  template <typename T>
  void operator()(std::string_view key, T& out, Policy policy = Policy::kOmitEmpty) {
    const Value* const value = Find(key);
    if (value == nullptr || !status_.ok()) return;
    status_ = DecodeYaml(*value, &out);
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>) {
      if (policy == Policy::kPath) ResolvePath(*value, &out);
    }
  }
  // With a decoder of its own: `decode` takes a const Value& and returns a Status.
  template <typename Decode>
  void Each(std::string_view key, const Decode& decode) {
    if (const Value* const value = Find(key); value != nullptr && status_.ok()) {
      status_ = decode(*value);
    }
  }
  // The field is an error when absent or null: "missing required field".
  template <typename T>
  void Required(std::string_view key, T& out) {
    const Value* const value = Find(key);
    if (!status_.ok()) return;
    status_ = value == nullptr || value->is_null() ? ErrorAt(key, "missing required field")
                                                   : DecodeYaml(*value, &out);
  }

  // Marks `key` as known; null when the mapping lacks it.
  const Value* Find(std::string_view key);
  // The same without marking it.
  const Value* Peek(std::string_view key) const;
  bool Has(std::string_view key) const { return Peek(key) != nullptr; }
  // An error at the field, or at the mapping when the field is absent.
  absl::Status ErrorAt(std::string_view key, std::string_view reason) const;

  // The first error of all calls; else, an error for the first key that nobody asked for.
  absl::Status Finish() const;

 private:
  const Value value_;
  const std::string type_;
  std::vector<Value::Entry> entries_;
  std::vector<bool> known_;  // Parallel to entries_.
  absl::Status status_;
};

}  // namespace narthex::yaml

#endif  // NARTHEX_LIB_YAML_DECODER_H_
