#include "lib/http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/http/exchange.h"
#include "lib/http/request_parser.h"
#include "lib/io/listen_socket.h"

namespace narthex::http {
namespace {

using Instant = std::chrono::steady_clock::time_point;

constexpr size_t kReadBytes = 64 << 10;
// What an idle connection may keep.
constexpr size_t kIdleBufferBytes = 4 << 10;
// The body bound where no route takes the request: enough to read a small body away and keep the
// connection.
constexpr size_t kUnroutedBodyBytesMax = 64 << 10;
// Bodies that are being received or handled, over all connections.
constexpr size_t kBodiesBytesMax = size_t{512} << 20;
// How long the tail of an answer waits for a client that takes nothing.
constexpr absl::Duration kSendTimeout = absl::Seconds(30);
// How long and how much unread input is thrown away before closing, so that the answer is not lost
// to a reset.
constexpr absl::Duration kLingerTimeout = absl::Seconds(2);
constexpr size_t kLingerBytesMax = 1 << 20;
// The pause after accept() has failed for want of descriptors.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

Instant InstantAfter(absl::Duration duration) {
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
}

std::string AddressText(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return StrCat(text.data(), ":", ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text.data(), text.size());
    return StrCat(text.data(), ":", ntohs(v6->sin6_port));
  }
  inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
  return StrCat("[", text.data(), "]:", ntohs(v6->sin6_port));
}

bool IsReadable(int fd) {
  pollfd state{fd, POLLIN, 0};
  return poll(&state, 1, 0) > 0;
}

std::string_view ReasonOf(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

struct Connection {
  enum class State {
    kIdle,     // Between requests.
    kHead,     // Part of a head is here.
    kBody,     // Part of a body is here.
    kRunning,  // A worker has it; the loop leaves it alone.
    kSending,  // The tail of an answer waits for the client.
    kLinger,   // Answered and refused to read more; input is thrown away.
  };
  int fd = -1;
  State state = State::kIdle;
  Instant deadline;
  std::string remote_address;
  std::string in;
  RequestParser parser;
  size_t body_bytes_max = 0;
  size_t body_bytes_counted = 0;
  bool input_refused = false;  // Input of the client stays unread.
  size_t linger_bytes = 0;
  Exchange exchange;
};

}  // namespace

// The loop thread owns all connections but those that a worker has; a worker hands its connection
// back through `finished_`.
class Server::Loop {
 public:
  Loop(const ServerOptions& options, const Router* router, Logger logger,
       metrics::Registry* registry, io::ListenSocket listener)
      : options_(options),
        router_(router),
        logger_(std::move(logger)),
        listener_(std::move(listener)),
        port_(listener_.port()),
        metrics_(registry, options.metrics_prefix),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    NARTHEX_CHECK(epoll_ >= 0 && wake_ >= 0);
  }

  ~Loop() {
    Stop(absl::ZeroDuration());
    close(wake_);
    close(epoll_);
  }

  void Start() {
    Arm(EPOLL_CTL_ADD, wake_, EPOLLIN, nullptr);
    Arm(EPOLL_CTL_ADD, listener_.fd(), EPOLLIN | EPOLLONESHOT, this);
    loop_ = Thread("http-loop", [this] { Run(); });
    for (int i = 0; i < options_.workers; ++i) {
      workers_.emplace_back("http-worker", [this] { Work(); });
    }
  }

  void Stop(absl::Duration grace) {
    if (!stopping_.exchange(true)) {
      stop_deadline_ns_ = InstantAfter(grace).time_since_epoch().count();
      stop_ready_ = true;
      Wake();
    }
    loop_.Join();
    workers_.clear();
    listener_.Close();
  }

  int port() const { return port_; }

 private:
  using State = Connection::State;

  // ---- On the loop thread.

  void Run() {
    std::array<epoll_event, 256> events;
    while (!StopStep()) {
      const int count =
          epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), MillisecondsToWait());
      for (int i = 0; i < count; ++i) {
        void* const owner = events[static_cast<size_t>(i)].data.ptr;
        if (owner == nullptr) {
          uint64_t ignored = 0;
          (void)!read(wake_, &ignored, sizeof(ignored));
        } else if (owner == this) {
          Accept();
        } else {
          OnReady(static_cast<Connection*>(owner));
        }
      }
      TakeFinished();
      CloseOverdue();
      ResumeAccept();
      closed_connections_.clear();
    }
    while (!connections_.empty()) Close(connections_.begin()->second.get());
    MutexLock lock(&mu_);
    closed_ = true;
    queue_.clear();
    work_.SignalAll();
  }

  // Moves a stop along; true when the loop is to end.
  bool StopStep() {
    if (!stop_ready_) return false;
    listener_.Close();
    std::vector<Connection*> waiting;
    for (const auto& entry : connections_) {
      const State state = entry.second->state;
      if (state != State::kRunning && state != State::kSending)
        waiting.push_back(entry.second.get());
    }
    for (Connection* connection : waiting) Close(connection);
    if (connections_.empty()) return true;
    if (std::chrono::steady_clock::now().time_since_epoch().count() < stop_deadline_ns_)
      return false;
    if (!aborted_.exchange(true)) {
      MutexLock lock(&mu_);
      queue_.clear();  // Not begun, so nobody would hand them back.
    }
    for (const auto& entry : connections_) shutdown(entry.second->fd, SHUT_RDWR);
    return !AnyAtWork();
  }

  // After the grace: whether a worker still has a connection, which only it may hand back.
  bool AnyAtWork() {
    MutexLock lock(&mu_);
    return at_work_ > 0;
  }

  int MillisecondsToWait() const {
    // While stopping, look often: what ends it may be a handler that no event announces.
    if (stop_ready_) return 10;
    Instant next = Instant::max();
    if (!deadlines_.empty()) next = deadlines_.begin()->first;
    if (accept_paused_) next = std::min(next, accept_resume_);
    if (next == Instant::max()) return -1;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        next - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count() + 1, 0, 60000));
  }

  void Arm(int operation, int fd, uint32_t events, void* owner) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = owner;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  // Waits for `events` on the connection, once, until `deadline`.
  void Await(Connection* connection, State state, uint32_t events, Instant deadline) {
    connection->state = state;
    SetDeadline(connection, deadline);
    Arm(EPOLL_CTL_MOD, connection->fd, events | EPOLLONESHOT, connection);
  }

  void SetDeadline(Connection* connection, Instant deadline) {
    deadlines_.erase({connection->deadline, connection});
    connection->deadline = deadline;
    deadlines_.insert({deadline, connection});
  }

  void Accept() {
    while (!stopping_) {
      // Asked first, because accept() can fail for want of descriptors although nobody waits.
      if (!IsReadable(listener_.fd())) {
        return Arm(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN | EPOLLONESHOT, this);
      }
      if (connections_.size() >= options_.connections_max && !CloseOldestIdle()) {
        accept_paused_ = true;  // The backlog waits until a connection ends.
        accept_resume_ = Instant::max();
        return;
      }
      sockaddr_storage address{};
      socklen_t length = sizeof(address);
      const int fd = accept4(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) continue;
        if ((errno == EMFILE || errno == ENFILE) && CloseOldestIdle()) continue;
        logger_.Warn("accept failed", {{"err", std::strerror(errno)}});
        accept_paused_ = true;
        accept_resume_ = InstantAfter(kAcceptPause);
        return;
      }
      AddConnection(fd, AddressText(address));
    }
  }

  void AddConnection(int fd, std::string remote_address) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->remote_address = std::move(remote_address);
    connection->deadline = InstantAfter(options_.idle_timeout);
    deadlines_.insert({connection->deadline, connection.get()});
    Arm(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, connection.get());
    connections_.emplace(connection.get(), std::move(connection));
  }

  void ResumeAccept() {
    if (!accept_paused_ || stopping_) return;
    const bool room = connections_.size() < options_.connections_max;
    const bool due = accept_resume_ == Instant::max()
                         ? room
                         : accept_resume_ <= std::chrono::steady_clock::now();
    if (!due) return;
    accept_paused_ = false;
    Arm(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN | EPOLLONESHOT, this);
  }

  bool CloseOldestIdle() {
    for (const auto& [deadline, connection] : deadlines_) {
      if (connection->state != State::kIdle) continue;
      Close(connection);
      return true;
    }
    return false;
  }

  void OnReady(Connection* connection) {
    if (connection->fd < 0) return;  // Closed by an earlier event of this round.
    switch (connection->state) {
      case State::kIdle:
      case State::kHead:
      case State::kBody:
        if (Receive(connection)) Advance(connection);
        return;
      case State::kSending:
        Send(connection);
        return;
      case State::kLinger:
        if (!Receive(connection)) return;
        connection->linger_bytes += connection->in.size();
        connection->in.clear();
        if (connection->linger_bytes > kLingerBytesMax) return Close(connection);
        Await(connection, State::kLinger, EPOLLIN, connection->deadline);
        return;
      case State::kRunning:
        return;
    }
  }

  // Appends what has arrived to the input; false when the connection was closed instead.
  bool Receive(Connection* connection) {
    ssize_t received = 0;
    do {
      received = recv(connection->fd, read_buffer_.data(), read_buffer_.size(), 0);
    } while (received < 0 && errno == EINTR);
    if (received > 0) connection->in.append(read_buffer_.data(), static_cast<size_t>(received));
    if (received > 0 || (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))) return true;
    Close(connection);
    return false;
  }

  // Takes the input as far as it goes.
  void Advance(Connection* connection) {
    if (connection->state == State::kIdle) {
      if (connection->in.empty()) {
        accept_resume_ = Instant::min();  // It can make room now.
        if (connection->in.capacity() > kIdleBufferBytes) connection->in.shrink_to_fit();
        return Await(connection, State::kIdle, EPOLLIN, InstantAfter(options_.idle_timeout));
      }
      connection->state = State::kHead;
      connection->parser = RequestParser();
      SetDeadline(connection, InstantAfter(options_.head_timeout));
    }
    if (connection->state == State::kHead) {
      const auto result = connection->parser.ReadHead(&connection->in);
      if (result == RequestParser::Result::kError) return Refuse(connection);
      if (result == RequestParser::Result::kNeedMore) {
        return Await(connection, State::kHead, EPOLLIN, connection->deadline);
      }
      if (!BeginBody(connection)) return;
    }
    ReadBody(connection);
  }

  // False when the request went to a worker or was refused without its body.
  bool BeginBody(Connection* connection) {
    const RequestHead& head = connection->parser.head();
    const size_t bytes_max = router_->BodyBytesMax(head.method, head.raw_path);
    connection->body_bytes_max = bytes_max == 0 ? kUnroutedBodyBytesMax : bytes_max;
    if (bytes_max == 0 && head.content_length > connection->body_bytes_max) {
      Dispatch(connection, true);  // 404 or 405, whatever the body is.
      return false;
    }
    connection->state = State::kBody;
    SetDeadline(connection, InstantAfter(options_.body_timeout));
    if (head.expects_continue && head.has_body() && connection->in.empty() &&
        head.content_length <= connection->body_bytes_max) {
      OutBuffer go_on{"HTTP/1.1 100 Continue\r\n\r\n"};
      if (!go_on.SendSome(connection->fd) || !go_on.empty()) {
        Close(connection);
        return false;
      }
    }
    return true;
  }

  void ReadBody(Connection* connection) {
    const auto result = connection->parser.ReadBody(&connection->in, connection->body_bytes_max);
    if (result == RequestParser::Result::kError) return Refuse(connection);
    const size_t size = connection->parser.body().size();
    bodies_bytes_ += size - connection->body_bytes_counted;
    connection->body_bytes_counted = size;
    if (bodies_bytes_ > kBodiesBytesMax) {
      return RefuseWith(connection, 503, "too many request bytes in flight");
    }
    if (result == RequestParser::Result::kNeedMore) {
      return Await(connection, State::kBody, EPOLLIN, connection->deadline);
    }
    Dispatch(connection, false);
  }

  void Dispatch(Connection* connection, bool body_unread) {
    connection->state = State::kRunning;
    deadlines_.erase({connection->deadline, connection});
    Exchange& exchange = connection->exchange;
    exchange = Exchange();
    exchange.fd = connection->fd;
    exchange.remote_address = connection->remote_address;
    exchange.head = connection->parser.head();
    exchange.body = std::move(connection->parser.body());
    exchange.body_bytes_max = connection->body_bytes_max;
    exchange.aborted = &aborted_;
    exchange.close = !exchange.head.keep_alive || body_unread || stopping_;
    connection->input_refused = body_unread;
    MutexLock lock(&mu_);
    queue_.push_back(connection);
    work_.Signal();
  }

  void Refuse(Connection* connection) {
    RefuseWith(connection, connection->parser.error_status(), connection->parser.error());
  }

  // Answers a request that cannot be understood or taken, and closes.
  void RefuseWith(Connection* connection, int status, std::string_view why) {
    const std::string body = StrCat(status, " ", ReasonOf(status), ": ", why, "\n");
    Exchange& exchange = connection->exchange;
    exchange = Exchange();
    exchange.close = true;
    exchange.out.bytes =
        StrCat("HTTP/1.1 ", status, " ", ReasonOf(status),
               "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n",
               "Content-Length: ", body.size(), "\r\n\r\n", body);
    metrics_.Record("", status, absl::ZeroDuration(), body.size());
    connection->input_refused = true;
    Send(connection);
  }

  void TakeFinished() {
    std::vector<Connection*> finished;
    {
      MutexLock lock(&mu_);
      finished.swap(finished_);
    }
    for (Connection* connection : finished) {
      deadlines_.insert({connection->deadline, connection});
      bodies_bytes_ -= std::exchange(connection->body_bytes_counted, 0);
      Send(connection);
    }
  }

  // Sends the rest of the answer, then goes on with the connection or ends it.
  void Send(Connection* connection) {
    Exchange& exchange = connection->exchange;
    if (exchange.broken || !exchange.out.SendSome(connection->fd)) return Close(connection);
    if (!exchange.out.empty()) {
      return Await(connection, State::kSending, EPOLLOUT, InstantAfter(kSendTimeout));
    }
    if (!exchange.close) {
      exchange = Exchange();
      connection->state = State::kIdle;
      return Advance(connection);
    }
    if (!connection->input_refused) return Close(connection);
    shutdown(connection->fd, SHUT_WR);
    connection->in.clear();
    Await(connection, State::kLinger, EPOLLIN, InstantAfter(kLingerTimeout));
  }

  void CloseOverdue() {
    const Instant now = std::chrono::steady_clock::now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      Close(deadlines_.begin()->second);
    }
  }

  // The object lives on until the events at hand are done: one of them may name it. REQUIRES: no
  // worker has the connection.
  void Close(Connection* connection) {
    deadlines_.erase({connection->deadline, connection});
    bodies_bytes_ -= connection->body_bytes_counted;
    close(std::exchange(connection->fd, -1));
    const auto found = connections_.find(connection);
    closed_connections_.push_back(std::move(found->second));
    connections_.erase(found);
  }

  // ---- On any thread.

  void Wake() {
    const uint64_t one = 1;
    (void)!write(wake_, &one, sizeof(one));
  }

  // ---- On a worker thread.

  void Work() {
    Responder responder(router_, logger_, &metrics_);
    while (true) {
      Connection* connection = nullptr;
      {
        MutexLock lock(&mu_);
        while (queue_.empty() && !closed_) work_.Wait(&mu_);
        if (queue_.empty()) return;
        connection = queue_.front();
        queue_.pop_front();
        ++at_work_;
      }
      Exchange& exchange = connection->exchange;
      responder.Answer(&exchange);
      if (!exchange.broken && !exchange.out.SendSome(exchange.fd)) exchange.broken = true;
      {
        MutexLock lock(&mu_);
        finished_.push_back(connection);
        --at_work_;
      }
      Wake();
    }
  }

  // Constant after construction.
  const ServerOptions options_;
  const Router* const router_;
  const Logger logger_;
  io::ListenSocket listener_;  // Closed by the loop thread when stopping.
  const int port_;
  ServerMetrics metrics_;  // Synchronises itself.
  const int epoll_;
  const int wake_;

  // Only touched by the loop thread.
  absl::flat_hash_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::set<std::pair<Instant, Connection*>> deadlines_;  // Of all that no worker has.
  std::vector<std::unique_ptr<Connection>> closed_connections_;
  std::vector<char> read_buffer_ = std::vector<char>(kReadBytes);
  size_t bodies_bytes_ = 0;
  bool accept_paused_ = false;
  Instant accept_resume_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> stop_ready_{false};  // stop_deadline_ns_ is set.
  std::atomic<int64_t> stop_deadline_ns_{0};
  std::atomic<bool> aborted_{false};

  Mutex mu_;
  CondVar work_;
  std::deque<Connection*> queue_ ABSL_GUARDED_BY(mu_);
  std::vector<Connection*> finished_ ABSL_GUARDED_BY(mu_);
  int at_work_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;

  Thread loop_;
  std::vector<Thread> workers_;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Create(const ServerOptions& options,
                                                       const Router* router, Logger logger,
                                                       metrics::Registry* registry) {
  NARTHEX_CHECK(options.workers > 0 && options.connections_max > 0);
  NARTHEX_ASSIGN_OR_RETURN(io::ListenSocket listener,
                           io::ListenSocket::Open(options.listen_address));
  return std::unique_ptr<Server>(new Server(
      std::make_unique<Loop>(options, router, std::move(logger), registry, std::move(listener))));
}

Server::Server(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

Server::~Server() = default;

void Server::Start() { loop_->Start(); }

void Server::Stop(absl::Duration grace) { loop_->Stop(grace); }

int Server::port() const { return loop_->port(); }

}  // namespace narthex::http
