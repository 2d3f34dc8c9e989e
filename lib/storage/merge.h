#ifndef NARTHEX_LIB_STORAGE_MERGE_H_
#define NARTHEX_LIB_STORAGE_MERGE_H_

#include <memory>
#include <span>
#include <vector>

#include "lib/model/sample_buffer.h"
#include "lib/storage/storage.h"

namespace narthex::storage {

// Joins the answers of several stores to one selector: every series once, in label order, with the
// samples of all stores that have it. Where two have the same timestamp, the earlier set in `sets`
// wins. The first error of any set ends the whole. REQUIRES: every set is in label order.
std::unique_ptr<SeriesSet> MergeSeriesSets(std::vector<std::unique_ptr<SeriesSet>> sets);

// The same for replicas, which have read the same series at times of their own: of those that
// follow one another with equal labels, in one set or in several, MergeReplicas() makes one.
std::unique_ptr<SeriesSet> MergeReplicaSets(std::vector<std::unique_ptr<SeriesSet>> sets);

// Appends the samples of one series that several replicas have read, each in time order, to `out`.
// One of them is followed, so that values do not jump between what two have seen at two times;
// where it has a gap another one takes over: the one that went away is not taken up again before
// twice the gap has passed without the other failing. (The rule of Thanos.) Staleness markers are
// samples.
void MergeReplicas(std::span<const SampleBuffer> replicas, SampleBuffer* out);

// Appends the union of `a` and `b`, each in time order without duplicates, to `out`; at equal
// timestamps `a` wins. A counter histogram that then follows one of the other buffer says no more
// whether there was a reset between them.
void MergeSamples(const SampleBuffer& a, const SampleBuffer& b, SampleBuffer* out);

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_MERGE_H_
