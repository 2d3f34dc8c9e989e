#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SEGMENTED_ARRAY_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SEGMENTED_ARRAY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "lib/base/check.h"

namespace narthex::tsdb {

// A directory of pointers, all null, whose memory the kernel provides only where it is touched.
template <typename T>
class LazyPointers {
 public:
  explicit LazyPointers(size_t size)
      : pointers_(static_cast<std::atomic<T*>*>(std::calloc(size, sizeof(std::atomic<T*>)))),
        size_(size) {
    NARTHEX_CHECK(pointers_ != nullptr);
  }
  ~LazyPointers() { std::free(pointers_); }
  LazyPointers(const LazyPointers&) = delete;
  LazyPointers& operator=(const LazyPointers&) = delete;

  T* Get(size_t index) const { return pointers_[index].load(std::memory_order_acquire); }
  void Set(size_t index, T* pointer) { pointers_[index].store(pointer, std::memory_order_release); }
  size_t size() const { return size_; }

 private:
  std::atomic<T*>* const pointers_;
  const size_t size_;
};

// An array that grows at its end and whose elements never move.
//
// Thread safety: one thread grows it (Extend) while others read elements that they learned of
// through some synchronisation of their own; elements synchronise themselves.
template <typename T, size_t kSegmentBits = 12, size_t kDirectorySize = size_t{1} << 16>
class SegmentedArray {
 public:
  static constexpr size_t kSegmentSize = size_t{1} << kSegmentBits;
  static constexpr size_t kSizeMax = kSegmentSize * kDirectorySize;

  SegmentedArray() : segments_(kDirectorySize) {}
  ~SegmentedArray() {
    for (size_t i = 0; i * kSegmentSize < size_; ++i) delete[] segments_.Get(i);
  }

  // Adds one element, default-constructed; returns its index. REQUIRES: size() < kSizeMax.
  size_t Extend() {
    NARTHEX_CHECK(size_ < kSizeMax);
    const size_t segment = size_ >> kSegmentBits;
    if (segments_.Get(segment) == nullptr) segments_.Set(segment, new T[kSegmentSize]());
    return size_++;
  }
  T& operator[](size_t index) const {
    return segments_.Get(index >> kSegmentBits)[index & (kSegmentSize - 1)];
  }
  size_t size() const { return size_; }  // For the growing thread.
  size_t memory_bytes() const {
    return (size_ + kSegmentSize - 1) / kSegmentSize * kSegmentSize * sizeof(T);
  }

 private:
  LazyPointers<T> segments_;
  size_t size_ = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SEGMENTED_ARRAY_H_
