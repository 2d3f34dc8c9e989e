// Pages, fragments and segments as in format.md.
#include "services/storage/tsdb/wal/reader.h"

#include <algorithm>

#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/wal/compression.h"
#include "services/storage/tsdb/wal/format.h"

namespace narthex::wal {
namespace {

constexpr uint8_t kHeadBits = kFragmentTypeMask | kSnappyFlag | kZstdFlag;

FragmentType TypeOf(uint8_t head) { return static_cast<FragmentType>(head & kFragmentTypeMask); }

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

}  // namespace

SegmentReader::Step SegmentReader::Damage(std::string_view what, bool torn) {
  status_ = DataLoss("offset ", fragment_offset_, ": ", what);
  torn_ = torn;
  // Where the length of a fragment cannot be trusted the next page begins anew.
  resume_offset_ = fragment_offset_ - fragment_offset_ % kPageSize + kPageSize;
  return Step::kDamage;
}

SegmentReader::Step SegmentReader::NextFragment(Fragment* fragment) {
  while (true) {
    fragment_offset_ = position_;
    if (position_ >= bytes_.size()) return Step::kEnd;
    const size_t page_end = position_ - position_ % kPageSize + kPageSize;
    const size_t page_left = page_end - position_;
    const std::string_view page = bytes_.substr(position_, page_left);
    const uint8_t head = static_cast<uint8_t>(page[0]);
    if (page_left < kFragmentHeaderSize || TypeOf(head) == FragmentType::kPageEnd) {
      if (!AllZero(page)) return Damage("non-zero bytes after the end of a page");
      position_ = page_end;
      continue;
    }
    if (page.size() < kFragmentHeaderSize) return Damage("the segment ends within a header", true);
    if ((head & ~kHeadBits) != 0 || TypeOf(head) > FragmentType::kLast) {
      return Damage(StrCat("fragment of unknown kind ", head));
    }
    const size_t length = LoadBig<uint16_t>(page.data() + 1);
    if (length > page_left - kFragmentHeaderSize) {
      return Damage("a fragment is longer than its page");
    }
    if (length > page.size() - kFragmentHeaderSize) {
      return Damage("the segment ends within a fragment", true);
    }
    fragment->head = head;
    fragment->data = page.substr(kFragmentHeaderSize, length);
    if (Crc32c(fragment->data) != LoadBig<uint32_t>(page.data() + 3)) {
      Damage("checksum mismatch");
      // More often data is damaged than its length.
      resume_offset_ = position_ + kFragmentHeaderSize + length;
      return Step::kDamage;
    }
    position_ += kFragmentHeaderSize + length;
    return Step::kFragment;
  }
}

SegmentReader::Step SegmentReader::ReadRecord(uint8_t* head, std::string_view* data) {
  bool open = false;
  joined_.clear();
  while (true) {
    Fragment fragment;
    const Step step = NextFragment(&fragment);
    if (step == Step::kEnd && open) return Damage("the segment ends within a record", true);
    if (step != Step::kFragment) return step;
    const FragmentType type = TypeOf(fragment.head);
    const bool starts = type == FragmentType::kFull || type == FragmentType::kFirst;
    if (starts == open) {
      Damage(open ? "a record starts within another" : "a record without its start");
      resume_offset_ = open ? fragment_offset_ : position_;
      return Step::kDamage;
    }
    if (starts) record_offset_ = fragment_offset_;
    *head = fragment.head;
    if (type == FragmentType::kFull) {
      *data = fragment.data;
      return Step::kFragment;
    }
    joined_.append(fragment.data);
    if (type == FragmentType::kLast) {
      *data = joined_;
      return Step::kFragment;
    }
    open = true;
  }
}

bool SegmentReader::NextRaw() {
  if (!status_.ok()) return false;
  good_bytes_ = position_;
  uint8_t head = 0;
  if (ReadRecord(&head, &record_) != Step::kFragment) {
    record_offset_ = std::min<uint64_t>(good_bytes_, bytes_.size());
    return false;
  }
  compression_ = Compression::kNone;
  if ((head & kZstdFlag) != 0) compression_ = Compression::kZstd;
  if ((head & kSnappyFlag) != 0) compression_ = Compression::kSnappy;
  return true;
}

absl::Status SegmentReader::Uncompress(Compression compression, std::string_view raw,
                                       std::string* out) {
  switch (compression) {
    case Compression::kSnappy:
      return UncompressSnappy(raw, out);
    case Compression::kZstd:
      return UncompressZstd(raw, out);
    case Compression::kNone:
      break;
  }
  out->assign(raw);
  return absl::OkStatus();
}

bool SegmentReader::Next() {
  if (!NextRaw()) return false;
  if (compression_ == Compression::kNone) return true;
  const absl::Status status = Uncompress(compression_, record_, &uncompressed_);
  record_ = uncompressed_;
  if (status.ok()) return true;
  Damage(Message(status));
  resume_offset_ = position_;
  record_offset_ = good_bytes_;
  return false;
}

}  // namespace narthex::wal
