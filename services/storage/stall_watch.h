#ifndef NARTHEX_SERVICES_STORAGE_STALL_WATCH_H_
#define NARTHEX_SERVICES_STORAGE_STALL_WATCH_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"

namespace narthex::storage_service {

// Knows the answers that are being sent, and ends those whose receiver takes nothing: each pins
// blocks and holds truncations of the head back, though its memory is bounded by the transport.
//
// Thread safety: all methods may be called from any thread.
class StallWatch {
 public:
  // One answer; told of each piece that the transport has taken. Only the thread that answers
  // touches it.
  class Answer {
   public:
    // `cancel` must be callable from any thread until the destructor has returned.
    Answer(StallWatch* watch, std::function<void()> cancel);
    ~Answer();
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;

    // Around each write to the transport, which may block.
    void Sending();
    void Sent();

   private:
    friend class StallWatch;
    static constexpr int64_t kNotSending = -1;
    StallWatch* const watch_;
    const std::function<void()> cancel_;
    std::atomic<int64_t> sending_since_ns_{kNotSending};  // Monotonic.
  };

  explicit StallWatch(Clock* clock) : clock_(clock) {}

  // Cancels the answers that have waited longer than `stall_max` for their receiver; how many.
  int CancelStalled(absl::Duration stall_max);
  int answers() const;  // Being sent.

 private:
  Clock* const clock_;
  mutable Mutex mu_;
  std::set<Answer*> answers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_STALL_WATCH_H_
