#ifndef NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_STORAGE_H_
#define NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_STORAGE_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "lib/labels/labels.h"
#include "lib/model/sample_buffer.h"
#include "lib/storage/storage.h"

namespace narthex::testing {

// Samples of one series that a script loads, in time order. Histograms are of the float kind.
struct LoadedSeries {
  Labels labels;
  SampleBuffer samples;
};

// Where scripts load their samples and queries read them. Thread safety: none.
class ScriptStorage {
 public:
  virtual ~ScriptStorage() = default;
  // Forgets everything. Called before the first Load().
  virtual absl::Status Clear() = 0;
  virtual absl::Status Load(const std::vector<LoadedSeries>& series) = 0;
  virtual storage::Querier* querier() = 0;
};

// Samples in maps. Histograms are answered with the hints about counter resets that chunks give
// them, so that it agrees with real storage.
std::unique_ptr<ScriptStorage> MakeMemoryScriptStorage();

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_STORAGE_H_
