#ifndef NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_LOAD_H_
#define NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_LOAD_H_

#include <vector>

#include "tests/conformance/query/script.h"
#include "tests/conformance/query/script_storage.h"

namespace narthex::testing {

// The series that a load command makes; with load_with_nhcb also a histogram of custom buckets for
// each classic one.
std::vector<LoadedSeries> LoadedBy(const ScriptCommand& command);

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_LOAD_H_
