// The block behind a label set, one allocation:
//
//   Rep        reference count, number of labels, hash
//   u32 x 2n   where the name and the value of each label end, counted from the start of the
//   strings strings    name value name value …, in label order
//
// The hash covers the ends and the strings, which lie together, so it takes one pass and equality
// is one memcmp.
#include "lib/labels/labels.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "lib/base/check.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/labels/selector_format.h"

namespace narthex {

struct Labels::Rep {
  std::atomic<uint32_t> references{1};
  uint32_t count = 0;
  uint64_t hash = 0;

  const uint32_t* ends() const { return reinterpret_cast<const uint32_t*>(this + 1); }
  uint32_t* ends() { return reinterpret_cast<uint32_t*>(this + 1); }
  const char* strings() const { return reinterpret_cast<const char*>(ends() + 2 * count); }
  char* strings() { return reinterpret_cast<char*>(ends() + 2 * count); }
  // Of the ends and the strings together.
  size_t content_bytes() const { return 2 * count * sizeof(uint32_t) + ends()[2 * count - 1]; }
  std::string_view content() const {
    return {reinterpret_cast<const char*>(ends()), content_bytes()};
  }
  LabelView label(size_t index) const {
    const uint32_t* const end = ends();
    const uint32_t start = index == 0 ? 0 : end[2 * index - 1];
    const uint32_t middle = end[2 * index];
    return {{strings() + start, middle - start}, {strings() + middle, end[2 * index + 1] - middle}};
  }

  static void Release(Rep* rep) {
    if (rep == nullptr) return;
    if (rep->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      rep->~Rep();
      ::operator delete(rep);
    }
  }
};

Labels Labels::FromSorted(std::span<const LabelView> labels) {
  if (labels.empty()) return Labels();
  size_t bytes = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    NARTHEX_DCHECK(!labels[i].value.empty());
    NARTHEX_DCHECK(i == 0 || labels[i - 1].name < labels[i].name);
    bytes += labels[i].name.size() + labels[i].value.size();
  }
  NARTHEX_CHECK(bytes <= std::numeric_limits<uint32_t>::max());
  const size_t table_bytes = 2 * labels.size() * sizeof(uint32_t);
  Rep* const rep = new (::operator new(sizeof(Rep) + table_bytes + bytes)) Rep;
  rep->count = static_cast<uint32_t>(labels.size());
  uint32_t* end = rep->ends();
  char* out = rep->strings();
  uint32_t at = 0;
  for (const LabelView& label : labels) {
    for (const std::string_view text : {label.name, label.value}) {
      if (!text.empty()) std::memcpy(out + at, text.data(), text.size());
      at += static_cast<uint32_t>(text.size());
      *end++ = at;
    }
  }
  rep->hash = FastHash(rep->content());
  return Labels(rep);
}

namespace {

Labels FromUnsorted(std::vector<LabelView> labels) {
  std::erase_if(labels, [](const LabelView& label) { return label.value.empty(); });
  std::sort(labels.begin(), labels.end());
  return Labels::FromSorted(labels);
}

}  // namespace

Labels::Labels(std::initializer_list<LabelView> labels)
    : Labels(FromUnsorted(std::vector<LabelView>(labels))) {}

Labels Labels::FromPairs(std::vector<std::pair<std::string, std::string>> pairs) {
  std::vector<LabelView> views;
  views.reserve(pairs.size());
  for (const auto& pair : pairs) views.push_back({pair.first, pair.second});
  return FromUnsorted(std::move(views));
}

Labels::Labels(const Labels& other) : rep_(other.rep_) {
  if (rep_ != nullptr) rep_->references.fetch_add(1, std::memory_order_relaxed);
}

Labels& Labels::operator=(const Labels& other) {
  Labels copy(other);
  std::swap(rep_, copy.rep_);
  return *this;
}

Labels& Labels::operator=(Labels&& other) noexcept {
  std::swap(rep_, other.rep_);
  return *this;
}

Labels::~Labels() { Rep::Release(rep_); }

size_t Labels::size() const { return rep_ == nullptr ? 0 : rep_->count; }

LabelView Labels::operator[](size_t index) const {
  NARTHEX_DCHECK(index < size());
  return rep_->label(index);
}

std::string_view Labels::Get(std::string_view name) const {
  const size_t count = size();
  for (size_t i = 0; i < count; ++i) {
    const LabelView label = rep_->label(i);
    if (label.name == name) return label.value;
  }
  return {};
}

bool Labels::Has(std::string_view name) const { return !Get(name).empty(); }

uint64_t Labels::hash() const { return rep_ == nullptr ? 0 : rep_->hash; }

uint64_t Labels::Fingerprint() const {
  std::string bytes;
  for (const LabelView label : *this) {
    bytes.append(label.name);
    bytes.push_back('\xff');
    bytes.append(label.value);
    bytes.push_back('\xff');
  }
  return Fnv1a64(bytes);
}

std::string Labels::ToString() const {
  std::string out = "{";
  for (const LabelView label : *this) {
    if (out.size() > 1) out.append(", ");
    AppendLabelName(&out, label.name);
    StrAppend(&out, '=', Quote(label.value));
  }
  out.push_back('}');
  return out;
}

bool operator==(const Labels& a, const Labels& b) {
  if (a.rep_ == b.rep_) return true;
  if (a.rep_ == nullptr || b.rep_ == nullptr) return false;
  return a.rep_->hash == b.rep_->hash && a.rep_->count == b.rep_->count &&
         a.rep_->content() == b.rep_->content();
}

std::strong_ordering operator<=>(const Labels& a, const Labels& b) {
  if (a.rep_ == b.rep_) return std::strong_ordering::equal;
  const size_t count = std::min(a.size(), b.size());
  for (size_t i = 0; i < count; ++i) {
    const LabelView left = a.rep_->label(i);
    const LabelView right = b.rep_->label(i);
    if (const int order = left.name.compare(right.name); order != 0) return order <=> 0;
    if (const int order = left.value.compare(right.value); order != 0) return order <=> 0;
  }
  return a.size() <=> b.size();
}

}  // namespace narthex
