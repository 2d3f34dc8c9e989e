#ifndef NARTHEX_LIB_STORAGE_MERGE_H_
#define NARTHEX_LIB_STORAGE_MERGE_H_

#include <memory>
#include <vector>

#include "lib/model/sample_buffer.h"
#include "lib/storage/storage.h"

namespace narthex::storage {

// Joins the answers of several stores to one selector: every series once, in label order, with the
// samples of all stores that have it. Where two have the same timestamp, the earlier set in `sets`
// wins. The first error of any set ends the whole. REQUIRES: every set is in label order.
std::unique_ptr<SeriesSet> MergeSeriesSets(std::vector<std::unique_ptr<SeriesSet>> sets);

// Appends the union of `a` and `b`, each in time order without duplicates, to `out`; at equal
// timestamps `a` wins. A counter histogram that then follows one of the other buffer says no more
// whether there was a reset between them.
void MergeSamples(const SampleBuffer& a, const SampleBuffer& b, SampleBuffer* out);

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_MERGE_H_
