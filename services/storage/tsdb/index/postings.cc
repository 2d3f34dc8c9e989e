#include "services/storage/tsdb/index/postings.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace narthex::index {
namespace {

// The first place from `from` on whose number is not below `wanted`: doubling steps, then halving.
template <typename List>
size_t Gallop(const List& list, size_t from, uint32_t wanted) {
  size_t step = 1;
  size_t low = from;
  size_t high = from;
  while (high < list.size() && list[high] < wanted) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = std::min(high, list.size());
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (list[middle] < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <typename List>
void SubtractList(const List& other, SeriesList* series) {
  size_t place = 0;
  size_t out = 0;
  for (const uint32_t one : *series) {
    place = Gallop(other, place, one);
    if (place == other.size() || other[place] != one) (*series)[out++] = one;
  }
  series->resize(out);
}

// Each list leaps to where the other is, so that stretches that only one of them has cost little.
template <typename List>
void IntersectList(const List& other, SeriesList* series) {
  size_t place = 0;
  size_t other_place = 0;
  size_t out = 0;
  while (place < series->size()) {
    const uint32_t one = (*series)[place];
    other_place = Gallop(other, other_place, one);
    if (other_place == other.size()) break;
    if (other[other_place] == one) {
      (*series)[out++] = one;
      ++place;
    } else {
      place = Gallop(*series, place + 1, other[other_place]);
    }
  }
  series->resize(out);
}

SeriesList UnionByBits(std::span<const PostingsView> lists, uint32_t first, uint32_t last,
                       size_t total) {
  std::vector<uint64_t> bits((last - first) / 64 + 1);
  for (const PostingsView& list : lists) {
    for (size_t i = 0; i < list.size(); ++i) {
      const uint32_t bit = list[i] - first;
      // Numbers out of order, of a damaged list, may lie outside.
      if (bit <= last - first) bits[bit / 64] |= uint64_t{1} << (bit % 64);
    }
  }
  SeriesList series;
  series.reserve(total);
  for (size_t i = 0; i < bits.size(); ++i) {
    for (uint64_t word = bits[i]; word != 0; word &= word - 1) {
      series.push_back(first + static_cast<uint32_t>(i * 64) +
                       static_cast<uint32_t>(std::countr_zero(word)));
    }
  }
  return series;
}

}  // namespace

SeriesList Copy(PostingsView postings) {
  SeriesList series(postings.size());
  for (size_t i = 0; i < series.size(); ++i) series[i] = postings[i];
  return series;
}

SeriesList Union(std::span<const PostingsView> lists) {
  size_t total = 0;
  uint32_t first = UINT32_MAX;
  uint32_t last = 0;
  for (const PostingsView& list : lists) {
    if (list.empty()) continue;
    total += list.size();
    first = std::min(first, list[0]);
    last = std::max(last, list[list.size() - 1]);
  }
  if (total == 0) return {};
  // A word of bits is cheaper to clear and to look at than a number is to sort.
  if (lists.size() > 1 && first <= last && (last - first) / 64 < total * 8) {
    return UnionByBits(lists, first, last, total);
  }
  SeriesList series;
  series.reserve(total);
  for (const PostingsView& list : lists) {
    for (size_t i = 0; i < list.size(); ++i) series.push_back(list[i]);
  }
  if (lists.size() > 1) {
    std::sort(series.begin(), series.end());
    series.erase(std::unique(series.begin(), series.end()), series.end());
  }
  return series;
}

void Intersect(PostingsView other, SeriesList* series) { IntersectList(other, series); }
void Intersect(std::span<const uint32_t> other, SeriesList* series) {
  IntersectList(other, series);
}
void Subtract(PostingsView other, SeriesList* series) { SubtractList(other, series); }
void Subtract(std::span<const uint32_t> other, SeriesList* series) { SubtractList(other, series); }

bool Intersects(PostingsView other, std::span<const uint32_t> series) {
  size_t place = 0;
  size_t other_place = 0;
  while (place < series.size()) {
    other_place = Gallop(other, other_place, series[place]);
    if (other_place == other.size()) return false;
    if (other[other_place] == series[place]) return true;
    place = Gallop(series, place, other[other_place]);
  }
  return false;
}

}  // namespace narthex::index
