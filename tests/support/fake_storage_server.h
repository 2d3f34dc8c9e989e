#ifndef NARTHEX_TESTS_SUPPORT_FAKE_STORAGE_SERVER_H_
#define NARTHEX_TESTS_SUPPORT_FAKE_STORAGE_SERVER_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/support/memory_storage.h"

namespace narthex::testing {

// A storage node in the test's process: MemoryStorage behind the Select side of the Storage
// service, on a port of loopback. Series are answered by id as XOR chunks, as a real node does; the
// switches make it misbehave. Append goes to memory() directly.
//
// Thread safety: all methods may be called from any thread.
class FakeStorageServer {
 public:
  // Bytes after which a frame is cut.
  explicit FakeStorageServer(size_t frame_bytes = size_t{1} << 20, int port = 0);
  ~FakeStorageServer();

  MemoryStorage& memory();
  std::string endpoint() const;  // "127.0.0.1:40000"
  int port() const;
  void Stop();

  // From now on every call fails with this; OK ends it.
  void Fail(absl::Status status);
  // Select ends with this after `frames` frames.
  void FailAfter(int frames, absl::Status status);
  // Every question waits before it is answered, and a Select before each frame.
  void Delay(absl::Duration delay);
  // As after the loss of a log: ids start anew in another space.
  void NewReferenceSpace();
  void SetReloadResult(absl::Status status);
  void SetExternalLabels(Labels labels);
  // Streams end with an error in place of the end of an answer.
  void BreakStreams(bool broken);

  int streams() const;       // That were opened.
  int selects() const;       // Questions of that kind.
  int label_calls() const;   // Likewise of Labels.
  int labels_asked() const;  // Ids in them.
  int reloads() const;
  bool cancelled() const;  // A Select was cancelled by its caller.

 private:
  struct Rep;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_SUPPORT_FAKE_STORAGE_SERVER_H_
