#ifndef NARTHEX_LIB_IO_LISTEN_SOCKET_H_
#define NARTHEX_LIB_IO_LISTEN_SOCKET_H_

#include <string_view>

#include "absl/status/statusor.h"

namespace narthex::io {

// A bound TCP socket that listens; the destructor closes it. Not thread-safe.
class ListenSocket {
 public:
  // `address` is host:port, :port (all addresses, IPv6 and IPv4), or [::1]:port; port 0 takes a
  // free one. The socket does not block and is closed on exec. Errors name the address as it was
  // given: "listen on 127.0.0.1:9090: address already in use".
  static absl::StatusOr<ListenSocket> Open(std::string_view address);

  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&& other) noexcept;
  ~ListenSocket();

  int fd() const { return fd_; }
  int port() const { return port_; }
  void Close();

 private:
  ListenSocket(int fd, int port) : fd_(fd), port_(port) {}
  int fd_ = -1;
  int port_ = 0;
};

}  // namespace narthex::io

#endif  // NARTHEX_LIB_IO_LISTEN_SOCKET_H_
