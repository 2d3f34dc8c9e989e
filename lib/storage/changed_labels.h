#ifndef NARTHEX_LIB_STORAGE_CHANGED_LABELS_H_
#define NARTHEX_LIB_STORAGE_CHANGED_LABELS_H_

#include <memory>
#include <string>
#include <string_view>

#include "lib/storage/storage.h"

// Sets of series with one label more or less, in label order again. All functions are pure and
// thread-safe; the sets have no thread safety, as all of them.
//
// A label that comes moves a series only among those that have the same labels before its name, one
// that goes among those of one metric: only what may move is held back, its samples read, until no
// later series can come before it.
namespace narthex::storage {

// Every series that has no label `name` gets it with `value`. REQUIRES: neither is empty; `set` is
// in label order.
std::unique_ptr<SeriesSet> WithLabel(std::unique_ptr<SeriesSet> set, std::string_view name,
                                     std::string_view value);

// No series has the label `name` any more; several that follow one another may then have equal
// labels. REQUIRES: `set` is in label order, and every series has another label.
std::unique_ptr<SeriesSet> WithoutLabel(std::unique_ptr<SeriesSet> set, std::string_view name);

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_CHANGED_LABELS_H_
