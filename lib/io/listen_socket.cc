#include "lib/io/listen_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::io {
namespace {

// Deep enough that a burst of clients is not refused before the accepting loop wakes.
constexpr int kBacklog = 1024;

std::string ErrnoText(int error) {
  std::string text = std::strerror(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

absl::Status ErrnoStatus(std::string_view address, int error) {
  const std::string text = StrCat("listen on ", address, ": ", ErrnoText(error));
  if (error == EADDRINUSE) return AlreadyExists(text);
  if (error == EACCES) return absl::PermissionDeniedError(text);
  return Unavailable(text);
}

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitHostPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument("listen on ", address, ": missing port in address");
  }
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  if (!host.empty() && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return InvalidArgument("listen on ", address, ": too many colons in address");
  }
  uint64_t number = 0;
  if (!ParseUint64(port, &number) || number > 65535) {
    return InvalidArgument("listen on ", address, ": invalid port ", Quote(port));
  }
  return HostPort{std::string(host), std::string(port)};
}

int PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length) != 0) return 0;
  if (bound.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
}

// The listening socket, or minus the error number.
int BindAndListen(const addrinfo& info, bool any_address) {
  const int fd =
      socket(info.ai_family, info.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info.ai_protocol);
  if (fd < 0) return -errno;
  const int on = 1;
  const int v6_only = any_address ? 0 : 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (info.ai_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
  }
  if (bind(fd, info.ai_addr, info.ai_addrlen) != 0 || listen(fd, kBacklog) != 0) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

}  // namespace

absl::StatusOr<ListenSocket> ListenSocket::Open(std::string_view address) {
  NARTHEX_ASSIGN_OR_RETURN(const HostPort parts, SplitHostPort(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(parts.host.empty() ? nullptr : parts.host.c_str(),
                                  parts.port.c_str(), &hints, &found);
  if (failure != 0) return Unavailable("listen on ", address, ": ", gai_strerror(failure));
  // All addresses: one IPv6 socket that takes IPv4 too; IPv4 alone where the machine has no IPv6.
  const int first_family = parts.host.empty() ? AF_INET6 : AF_UNSPEC;
  int error = EADDRNOTAVAIL;
  for (const bool preferred : {true, false}) {
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
      const bool is_preferred = first_family == AF_UNSPEC || info->ai_family == first_family;
      if (is_preferred != preferred || error == EADDRINUSE || error == EACCES) continue;
      const int fd = BindAndListen(*info, parts.host.empty());
      if (fd >= 0) {
        freeaddrinfo(found);
        return ListenSocket(fd, PortOf(fd));
      }
      error = -fd;
    }
  }
  freeaddrinfo(found);
  return ErrnoStatus(address, error);
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), port_(other.port_) {}

ListenSocket& ListenSocket::operator=(ListenSocket&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    port_ = other.port_;
  }
  return *this;
}

ListenSocket::~ListenSocket() { Close(); }

void ListenSocket::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

}  // namespace narthex::io
