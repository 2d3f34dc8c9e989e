#ifndef NARTHEX_SERVICES_STORAGE_TSDB_INDEX_POSTINGS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_INDEX_POSTINGS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "services/storage/tsdb/index/reader.h"

// Arithmetic of postings lists: ascending series numbers without duplicates. All functions are
// pure; lists that are not in order, as damaged files have them, give wrong sets but do no harm.
namespace narthex::index {

using SeriesList = std::vector<uint32_t>;

SeriesList Copy(PostingsView postings);
// What is in any of the lists.
SeriesList Union(std::span<const PostingsView> lists);
// Keep of *series what is in `other`: in time of the shorter, and the logarithm of the longer.
void Intersect(PostingsView other, SeriesList* series);
void Intersect(std::span<const uint32_t> other, SeriesList* series);
// Take out of *series what is in `other`.
void Subtract(PostingsView other, SeriesList* series);
void Subtract(std::span<const uint32_t> other, SeriesList* series);
// Whether a series is in both.
bool Intersects(PostingsView other, std::span<const uint32_t> series);

}  // namespace narthex::index

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_INDEX_POSTINGS_H_
