#ifndef NARTHEX_TESTS_SUPPORT_RAW_SOCKET_H_
#define NARTHEX_TESTS_SUPPORT_RAW_SOCKET_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/thread.h"
#include "lib/io/listen_socket.h"

namespace narthex::testing {

// A TCP connection of which a test says every byte. All waits end after `timeout`. Not thread-safe.
class RawConnection {
 public:
  explicit RawConnection(int fd) : fd_(fd) {}
  // To 127.0.0.1:port; connected() is false when that failed.
  static RawConnection Connect(int port);
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&& other) noexcept;
  ~RawConnection() { Close(); }

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  bool Send(std::string_view bytes);
  // Everything up to and with `mark`; what came before the end or the timeout when it never comes.
  std::string ReadUntil(std::string_view mark, absl::Duration timeout = absl::Seconds(10));
  // One HTTP answer: head, and the body that its Content-Length names.
  std::string ReadAnswer(absl::Duration timeout = absl::Seconds(10));
  // Everything up to the end of the connection.
  std::string ReadToEnd(absl::Duration timeout = absl::Seconds(10));
  // Whether the other side has closed within `timeout`.
  bool WaitForEnd(absl::Duration timeout = absl::Seconds(10));
  void CloseSending();
  void Close();

 private:
  // Reads once into buffer_; false at the end or when the deadline is over.
  bool ReadSome(absl::Time deadline);
  int fd_;
  bool ended_ = false;
  std::string buffer_;
};

// A server that does with each connection what the test says, each on a thread of its own; for
// peers that break the rules. The destructor waits for the handlers, so they must end by themselves
// or when their client leaves.
class RawServer {
 public:
  using Handler = std::function<void(RawConnection connection)>;
  explicit RawServer(Handler handler);
  // Reads the head of a request, then sends `answer` and closes.
  static std::unique_ptr<RawServer> Answering(std::string answer);
  ~RawServer();
  int port() const { return listener_.port(); }

 private:
  void Run();
  const Handler handler_;
  io::ListenSocket listener_;
  StopSignal stop_;
  std::vector<Thread> connections_;
  Thread accepting_;
};

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_SUPPORT_RAW_SOCKET_H_
