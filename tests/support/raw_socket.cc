#include "tests/support/raw_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/strings.h"

namespace narthex::testing {
namespace {

bool WaitReadable(int fd, absl::Duration timeout) {
  pollfd readable{fd, POLLIN, 0};
  const int64_t wait_ms = std::max<int64_t>(absl::ToInt64Milliseconds(timeout), 0);
  return poll(&readable, 1, static_cast<int>(wait_ms)) > 0;
}

}  // namespace

RawConnection RawConnection::Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return RawConnection(-1);
  }
  return RawConnection(fd);
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ended_(other.ended_), buffer_(std::move(other.buffer_)) {}

RawConnection& RawConnection::operator=(RawConnection&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    ended_ = other.ended_;
    buffer_ = std::move(other.buffer_);
  }
  return *this;
}

bool RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawConnection::ReadSome(absl::Time deadline) {
  if (ended_ || fd_ < 0) return false;
  if (!WaitReadable(fd_, deadline - RealClock()->Now())) return false;
  std::array<char, 65536> bytes;
  const ssize_t received = recv(fd_, bytes.data(), bytes.size(), 0);
  if (received <= 0) {
    ended_ = true;
    return false;
  }
  buffer_.append(bytes.data(), static_cast<size_t>(received));
  return true;
}

std::string RawConnection::ReadUntil(std::string_view mark, absl::Duration timeout) {
  const absl::Time deadline = RealClock()->Now() + timeout;
  size_t found = buffer_.find(mark);
  while (found == std::string::npos && ReadSome(deadline)) found = buffer_.find(mark);
  if (found == std::string::npos) return std::exchange(buffer_, std::string());
  const std::string taken = buffer_.substr(0, found + mark.size());
  buffer_.erase(0, taken.size());
  return taken;
}

std::string RawConnection::ReadAnswer(absl::Duration timeout) {
  const absl::Time deadline = RealClock()->Now() + timeout;
  std::string answer = ReadUntil("\r\n\r\n", timeout);
  constexpr std::string_view kLength = "content-length: ";
  const std::string lower = ToLowerAscii(answer);
  const size_t at = lower.find(kLength);
  if (at == std::string::npos) return answer;
  const size_t begin = at + kLength.size();
  uint64_t length = 0;
  ParseUint64(std::string_view(lower).substr(begin, lower.find('\r', begin) - begin), &length);
  while (buffer_.size() < length && ReadSome(deadline)) {
  }
  const size_t taken = std::min<size_t>(buffer_.size(), length);
  answer.append(buffer_, 0, taken);
  buffer_.erase(0, taken);
  return answer;
}

std::string RawConnection::ReadToEnd(absl::Duration timeout) {
  const absl::Time deadline = RealClock()->Now() + timeout;
  while (ReadSome(deadline)) {
  }
  return std::exchange(buffer_, std::string());
}

bool RawConnection::WaitForEnd(absl::Duration timeout) {
  const absl::Time deadline = RealClock()->Now() + timeout;
  while (ReadSome(deadline)) {
  }
  return ended_;
}

void RawConnection::CloseSending() { shutdown(fd_, SHUT_WR); }

void RawConnection::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

RawServer::RawServer(Handler handler)
    : handler_(std::move(handler)), listener_([] {
        absl::StatusOr<io::ListenSocket> opened = io::ListenSocket::Open("127.0.0.1:0");
        NARTHEX_CHECK(opened.ok());
        return std::move(opened).value();
      }()) {
  accepting_ = Thread("raw-server", [this] { Run(); });
}

std::unique_ptr<RawServer> RawServer::Answering(std::string answer) {
  return std::make_unique<RawServer>([answer](RawConnection connection) {
    connection.ReadUntil("\r\n\r\n");
    connection.Send(answer);
  });
}

RawServer::~RawServer() {
  stop_.Set();
  accepting_.Join();
}

void RawServer::Run() {
  while (!stop_.stopped()) {
    if (!WaitReadable(listener_.fd(), absl::Milliseconds(20))) continue;
    const int fd = accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    connections_.emplace_back("raw-connection", [this, fd] { handler_(RawConnection(fd)); });
  }
}

}  // namespace narthex::testing
