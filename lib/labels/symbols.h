#ifndef NARTHEX_LIB_LABELS_SYMBOLS_H_
#define NARTHEX_LIB_LABELS_SYMBOLS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/hash.h"

namespace narthex {

using Symbol = uint32_t;

// Interns strings: each different string is kept once and has a number from 0 on, in order of
// arrival. Strings are never removed; their bytes never move. Thread safety: none for Intern; after
// it, lookups may run beside each other.
class SymbolTable {
 public:
  SymbolTable() = default;
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  Symbol Intern(std::string_view text);
  // False when the string was never interned.
  bool Find(std::string_view text, Symbol* symbol) const;
  std::string_view Text(Symbol symbol) const { return texts_[symbol]; }
  size_t size() const { return texts_.size(); }
  size_t memory_bytes() const;

 private:
  std::string_view Store(std::string_view text);

  struct Hash {
    size_t operator()(std::string_view text) const { return FastHash(text); }
  };

  std::deque<std::string_view> texts_;
  absl::flat_hash_map<std::string_view, Symbol, Hash, std::equal_to<std::string_view>> numbers_;
  std::vector<std::unique_ptr<char[]>> slabs_;
  size_t slab_used_ = 0;
  size_t slab_size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_LABELS_SYMBOLS_H_
