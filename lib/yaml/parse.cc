// Builds the tree of a document from yaml-cpp's events. yaml-cpp reports neither duplicate keys nor
// aliases to unfinished nodes, accepts invalid UTF-8, and bounds nothing but its own recursion;
// those checks are here and in decoder.cc.

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/yaml/decoder.h"
#include "lib/yaml/document.h"

namespace narthex::yaml {
namespace {

using internal::DocumentRep;
using internal::Node;

// Configuration is some ten levels deep; yaml-cpp's own recursion takes a few hundred bytes of
// stack a level.
constexpr size_t kDepthMax = 200;
// With every alias written out a document may have this many nodes, or ten times its own, whichever
// is more.
constexpr size_t kExpandedMax = 1'000'000;

// Stops the parser; caught in Parse().
struct Refused {
  int line;
  int column;
  std::string reason;
};

// Decodes standard base64, ignoring white space; false when it is none.
bool DecodeBase64(std::string_view text, std::string* out) {
  uint32_t bits = 0;
  int bit_count = 0;
  size_t digits = 0;
  size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    static constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos || padding > 0) return false;
    ++digits;
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      out->push_back(static_cast<char>((bits >> bit_count) & 0xFF));
    }
  }
  return padding <= 2 && (digits + padding) % 4 == 0;
}

// yaml-cpp writes the escapes \N and \_ as the single bytes 0x85 and 0xA0. The document was valid
// UTF-8, so bytes that are not come from those two.
std::string RepairEscapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t length = 0;
    const char32_t rune = DecodeRune(text.substr(i), &length);
    const unsigned char byte = static_cast<unsigned char>(text[i]);
    AppendRune(&out, length == 1 && byte >= 0x80 ? byte : rune);
    i += length;
  }
  return out;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(DocumentRep* document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node* const node = Add(Node::Kind::kNull, mark, anchor);
    node->complete = true;
    Attach(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{mark.line + 1, mark.column + 1, "unknown anchor"};
    if (!found->second->complete) {
      throw Refused{mark.line + 1, mark.column + 1, "anchor value contains itself"};
    }
    Attach(found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node* const node = Add(Node::Kind::kScalar, mark, anchor);
    node->complete = true;
    node->quoted = tag != "?" && !tag.empty();
    if (tag == "tag:yaml.org,2002:binary") {
      if (!DecodeBase64(value, &node->text)) {
        throw Refused{node->line, node->column, "!!binary value contains invalid base64 data"};
      }
    } else if (tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" ||
               tag == "tag:yaml.org,2002:bool") {
      node->quoted = false;
      node->text = value;
    } else {
      node->text = IsValidUtf8(value) ? value : RepairEscapes(value);
    }
    Attach(node);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Add(Node::Kind::kSequence, mark, anchor));
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Add(Node::Kind::kMapping, mark, anchor));
  }
  void OnMapEnd() override { Close(); }

 private:
  Node* Add(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    Node* const node = &document_->nodes.emplace_back();
    node->kind = kind;
    node->line = mark.line + 1;
    node->column = mark.column + 1;
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    return node;
  }

  void Open(Node* node) {
    if (open_.size() >= kDepthMax) throw Refused{node->line, node->column, "exceeded max depth"};
    open_.push_back({node, nullptr});
  }

  void Close() {
    Node* const node = open_.back().node;
    node->complete = true;
    open_.pop_back();
    Attach(node);
  }

  // Puts a finished node into the innermost open collection.
  void Attach(Node* node) {
    if (open_.empty()) {
      document_->root = node;
      return;
    }
    OpenNode& parent = open_.back();
    parent.node->expanded += node->expanded;
    const size_t allowed = std::max(kExpandedMax, 10 * document_->nodes.size());
    if (parent.node->expanded > allowed) {
      throw Refused{parent.node->line, parent.node->column, "document contains excessive aliasing"};
    }
    if (parent.node->kind == Node::Kind::kSequence) {
      parent.node->items.push_back(node);
    } else if (parent.key == nullptr) {
      parent.key = node;
    } else {
      // The mark of a value that is not there is on a later line.
      if (node->kind == Node::Kind::kNull && &document_->nodes.back() == node) {
        node->line = parent.key->line;
        node->column = parent.key->column;
      }
      parent.node->entries.emplace_back(parent.key, node);
      parent.key = nullptr;
    }
  }

  struct OpenNode {
    Node* node;
    const Node* key;  // A mapping's key that waits for its value.
  };

  DocumentRep* const document_;
  std::map<YAML::anchor_t, Node*> anchors_;
  std::vector<OpenNode> open_;
};

// Only notes where the document begins.
class PlaceFinder : public TreeBuilder {
 public:
  explicit PlaceFinder(DocumentRep* document) : TreeBuilder(document) {}
  void OnDocumentStart(const YAML::Mark& mark) override {
    throw Refused{mark.line + 1, mark.column + 1, ""};
  }
};

absl::Status ErrorAt(std::string_view file, int line, int column, std::string_view reason) {
  return InvalidArgument(file, ":", line, ":", column, ": ", reason);
}

// What YAML forbids in a text and yaml-cpp lets pass.
absl::Status CheckCharacters(std::string_view text, std::string_view file) {
  int line = 1;
  size_t line_begin = 0;
  for (size_t i = 0; i < text.size();) {
    const auto column = [&] { return static_cast<int>(i - line_begin) + 1; };
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c == '\n') {
      ++line;
      line_begin = i + 1;
    }
    if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F) {
      return ErrorAt(file, line, column(), "control characters are not allowed");
    }
    size_t length = 1;
    if (c >= 0x80) {
      DecodeRune(text.substr(i), &length);
      if (length == 1) return ErrorAt(file, line, column(), "invalid UTF-8");
    }
    i += length;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Document> Document::Parse(std::string_view text, std::string_view file_name,
                                         MoreDocuments more) {
  NARTHEX_RETURN_IF_ERROR(CheckCharacters(text, file_name));
  auto rep = std::make_shared<DocumentRep>();
  rep->file_name = std::string(file_name);
  try {
    // yaml-cpp takes the end of the file for the end of a quoted scalar, but not the end of the
    // document.
    std::istringstream stream(
        StrCat(text, text.empty() || text.ends_with('\n') ? "" : "\n", "...\n"));
    YAML::Parser parser(stream);
    TreeBuilder builder(rep.get());
    if (parser.HandleNextDocument(builder) && static_cast<bool>(parser)) {
      DocumentRep ignored;
      PlaceFinder finder(&ignored);
      try {
        parser.HandleNextDocument(finder);
      } catch (const Refused& place) {
        rep->second_document_line = place.line;
      } catch (const YAML::Exception& error) {
        // Garbage after the first document; Prometheus never looks at it.
        rep->second_document_line = error.mark.line + 1;
      }
    }
  } catch (const Refused& refused) {
    return ErrorAt(file_name, refused.line, refused.column, refused.reason);
  } catch (const YAML::Exception& error) {
    const bool placed = !error.mark.is_null();
    return ErrorAt(file_name, placed ? error.mark.line + 1 : 1, placed ? error.mark.column + 1 : 1,
                   StrCat("yaml: ", error.msg));
  }
  if (rep->root == nullptr) {
    Node* const empty = &rep->nodes.emplace_back();
    empty->line = empty->column = 1;
    rep->root = empty;
  }
  if (rep->second_document_line > 0 && more == MoreDocuments::kRefuse) {
    return ErrorAt(file_name, rep->second_document_line, 1,
                   "a second document is not allowed in this file");
  }
  return Document(std::move(rep));
}

}  // namespace narthex::yaml
