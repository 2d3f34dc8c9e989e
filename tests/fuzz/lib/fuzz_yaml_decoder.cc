// Any bytes parse or are refused; what parses is written and read back as the same tree.
#include <cstdint>

#include "lib/base/check.h"
#include "lib/yaml/writer.h"

namespace {

using narthex::yaml::Document;
using narthex::yaml::Tree;
using narthex::yaml::Value;

// Bounds the work on documents that grow by aliases.
struct Budget {
  int left = 20000;
};

// False when the value holds what is not written: bad keys, or too much.
bool ToTree(const Value& value, Budget* budget, Tree* out) {
  if (--budget->left < 0) return false;
  if (value.is_sequence()) {
    out->kind = Tree::Kind::kSequence;
    const auto items = value.Items("list");
    NARTHEX_CHECK(items.ok());
    for (const Value& item : *items) {
      if (!ToTree(item, budget, &out->items.emplace_back())) return false;
    }
  } else if (value.is_mapping()) {
    out->kind = Tree::Kind::kMapping;
    const auto entries = value.Entries("map");
    if (!entries.ok()) return false;
    for (const Value::Entry& entry : *entries) {
      // A null key reads back as the empty text.
      Tree::Entry& written = out->entries.emplace_back();
      written.key = narthex::yaml::QuoteScalar(entry.key.text());
      if (!ToTree(entry.value, budget, &written.value)) return false;
    }
  } else {
    *out = value.is_null() ? narthex::yaml::Scalar("null", true)
                           : narthex::yaml::EncodeYaml(value.text());
  }
  return true;
}

// Bytes of !!binary that are no UTF-8 are written with replacement characters.
bool HasBinary(std::string_view text) { return text.find('!') != std::string_view::npos; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = Document::Parse(text, "fuzz.yml", Document::MoreDocuments::kIgnore);
  if (!document.ok()) {
    NARTHEX_CHECK(narthex::Message(document.status()).substr(0, 9) == "fuzz.yml:");
    return 0;
  }
  Budget budget;
  Tree tree;
  if (!ToTree(document->root(), &budget, &tree) || HasBinary(text)) return 0;
  const std::string rendered = narthex::yaml::Render(tree);
  const auto again = Document::Parse(rendered, "again.yml");
  NARTHEX_CHECK(again.ok());
  Tree second;
  Budget enough{.left = 100000};
  NARTHEX_CHECK(ToTree(again->root(), &enough, &second));
  NARTHEX_CHECK(narthex::yaml::Render(second) == rendered);
  return 0;
}
