#ifndef NARTHEX_LIB_YAML_DOCUMENT_H_
#define NARTHEX_LIB_YAML_DOCUMENT_H_

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

// The tree behind yaml::Document. Private to lib/yaml.
namespace narthex::yaml::internal {

struct Node {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  bool quoted = false;    // Or a block scalar, or tagged !!str.
  bool complete = false;  // Its end has been seen; an alias to an incomplete node contains itself.
  int line = 0;           // From 1.
  int column = 0;         // From 1.
  size_t expanded = 1;    // Nodes when every alias is written out; saturates.
  std::string text;       // Of a scalar.
  std::vector<const Node*> items;                            // Of a sequence.
  std::vector<std::pair<const Node*, const Node*>> entries;  // Of a mapping.
};

struct DocumentRep {
  std::string file_name;
  std::deque<Node> nodes;  // Owns all nodes; pointers stay valid.
  const Node* root = nullptr;
  int second_document_line = 0;
};

}  // namespace narthex::yaml::internal

#endif  // NARTHEX_LIB_YAML_DOCUMENT_H_
