#ifndef NARTHEX_TESTS_SUPPORT_FAKE_APPEND_SERVER_H_
#define NARTHEX_TESTS_SUPPORT_FAKE_APPEND_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "lib/model/sample.h"
#include "tests/support/memory_storage.h"

namespace narthex::testing {

// A storage node that speaks the Append stream as architecture.md says and keeps samples in a
// MemoryStorage: numbers, references, sequences, refusals, acknowledgements of both kinds. It can
// be stopped and started again on the same port with what it kept, renew its reference space,
// forget references, refuse series, hold back acknowledgements, and break streams.
//
// Thread safety: all methods may be called from any thread.
class FakeAppendServer {
 public:
  // One batch as it was applied, in order.
  struct Batch {
    std::string sender_id;
    uint64_t sequence = 0;
    Timestamp base_timestamp = 0;
    size_t samples = 0;
    size_t definitions = 0;
  };

  FakeAppendServer();
  ~FakeAppendServer();

  // Listens on a port of its own choice the first time and on the same one again afterwards.
  void Start();
  // Breaks all streams. What was applied stays.
  void Stop();
  std::string endpoint() const;  // "127.0.0.1:40123"; REQUIRES: was started once.

  MemoryStorage& samples();
  // The value of `series` at each of its timestamps, NaN bits kept.
  std::vector<Sample> SamplesOf(const Labels& series);
  std::vector<Batch> batches() const;
  size_t messages() const;  // Messages with batches that arrived.
  uint64_t accepted_sequence(const std::string& sender_id) const;

  // As a storage that starts on another directory: no references, and no samples or sequences
  // either when `lose_data`.
  void RenewReferenceSpace(bool lose_data);
  // The next batch that uses one of the references is refused as a storage does that lost a part of
  // its log.
  void ForgetReferences();
  // References above `reference_max` are forgotten and the next welcome says so.
  void LoseReferencesAbove(uint64_t reference_max);
  uint64_t reference_max() const;
  // New series with this metric name get reference 0.
  void RefuseMetric(const std::string& metric_name);
  // While held, nothing is durable.
  void HoldDurable(bool hold);
  // While held, batches are read but neither applied nor acknowledged.
  void HoldApply(bool hold);
  void BreakStreams();
  // Streams fail at once with Unavailable while set: a storage that replays its log.
  void SetReplaying(bool replaying);
  // Batches are decoded and counted but not kept; for benchmarks.
  void DiscardSamples();
  uint64_t samples_received() const;

  // Waits until `condition` holds, at most 10 s; false when it never did. Polled after each change.
  bool WaitForSamples(size_t count);
  bool WaitForBatches(size_t count);

 private:
  class Service;
  std::unique_ptr<Service> service_;
};

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_SUPPORT_FAKE_APPEND_SERVER_H_
