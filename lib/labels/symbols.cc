#include "lib/labels/symbols.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "lib/base/check.h"

namespace narthex {
namespace {

// Long enough that the waste at a slab's end is small, short enough that a small table stays small.
constexpr size_t kSlabBytes = 32 << 10;

}  // namespace

Symbol SymbolTable::Intern(std::string_view text) {
  if (const auto found = numbers_.find(text); found != numbers_.end()) return found->second;
  NARTHEX_CHECK(texts_.size() < std::numeric_limits<Symbol>::max());
  const Symbol symbol = static_cast<Symbol>(texts_.size());
  const std::string_view stored = Store(text);
  texts_.push_back(stored);
  numbers_.emplace(stored, symbol);
  return symbol;
}

bool SymbolTable::Find(std::string_view text, Symbol* symbol) const {
  const auto found = numbers_.find(text);
  if (found == numbers_.end()) return false;
  *symbol = found->second;
  return true;
}

size_t SymbolTable::memory_bytes() const {
  // The map keeps a control byte beside each slot.
  return bytes_ + texts_.size() * sizeof(std::string_view) +
         numbers_.capacity() * (sizeof(std::pair<std::string_view, Symbol>) + 1);
}

std::string_view SymbolTable::Store(std::string_view text) {
  if (text.empty()) return {};
  if (slab_size_ - slab_used_ < text.size()) {
    slab_size_ = std::max(kSlabBytes, text.size());
    slabs_.push_back(std::make_unique<char[]>(slab_size_));
    slab_used_ = 0;
    bytes_ += slab_size_;
  }
  char* const place = slabs_.back().get() + slab_used_;
  std::memcpy(place, text.data(), text.size());
  slab_used_ += text.size();
  return {place, text.size()};
}

}  // namespace narthex
