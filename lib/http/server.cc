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
// How often a stop looks whether it is complete: what ends it may be a handler that nothing
// announces.
constexpr absl::Duration kStopPause = absl::Milliseconds(10);
// How much longer a connection may live whose input nobody had the time to read.
constexpr absl::Duration kBusyExtension = absl::Seconds(1);

// What an event is about, where it is not the number of a connection.
constexpr uint64_t kEndEvent = 0;
constexpr uint64_t kListenerEvent = 1;
constexpr uint64_t kFirstConnection = 2;

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
    kRunning,  // Its request is being answered.
    kSending,  // The tail of an answer waits for the client.
    kLinger,   // Answered and refused to read more; input is thrown away.
  };
  uint64_t number = 0;
  int fd = -1;
  // Waits for an event or its deadline; else a worker has it. Guarded by the server's mutex.
  bool parked = false;
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

// The workers wait for events together; the one that the kernel wakes takes the connection, reads,
// answers, sends, and parks it again, so that a request costs one change of threads. The timer
// thread closes what is overdue, and sees a stop through.
class Server::Loop {
 public:
  Loop(const ServerOptions& options, const Router* router, Logger logger,
       metrics::Registry* registry, io::ListenSocket listener)
      : options_(options),
        router_(router),
        logger_(std::move(logger)),
        listener_(std::move(listener)),
        port_(listener_.port()),
        metrics_(registry, options.metrics_prefix, options.route_prefix),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        end_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    NARTHEX_CHECK(epoll_ >= 0 && end_ >= 0);
  }

  ~Loop() {
    Stop(absl::ZeroDuration());
    close(end_);
    close(epoll_);
  }

  void Start() {
    Arm(EPOLL_CTL_ADD, end_, EPOLLIN, kEndEvent);
    Arm(EPOLL_CTL_ADD, listener_.fd(), EPOLLIN | EPOLLONESHOT, kListenerEvent);
    timer_ = Thread("http-timer", [this] { RunTimer(); });
    for (int i = 0; i < options_.workers; ++i) {
      workers_.emplace_back("http-worker", [this] { Work(); });
    }
  }

  void Stop(absl::Duration grace) {
    {
      MutexLock lock(&mu_);
      if (!stopping_.exchange(true)) {
        stop_deadline_ = InstantAfter(grace);
        timer_wake_.Signal();
      }
    }
    timer_.Join();
    workers_.clear();
    MutexLock lock(&mu_);
    listener_.Close();
  }

  int port() const { return port_; }

 private:
  using State = Connection::State;

  // ---- On the timer thread.

  void RunTimer() {
    MutexLock lock(&mu_);
    while (true) {
      Instant next = Instant::max();
      if (stopping_) {
        if (StopStep()) break;
        next = InstantAfter(kStopPause);
      } else {
        CloseOverdue();
        if (accept_paused_ && accept_resume_ <= std::chrono::steady_clock::now()) ResumeAccept();
        if (!parked_.empty()) next = parked_.begin()->first;
        if (accept_paused_) next = std::min(next, accept_resume_);
      }
      timer_next_ = next;
      if (next == Instant::max()) {
        timer_wake_.Wait(&mu_);
      } else {
        timer_wake_.WaitWithTimeout(&mu_,
                                    absl::FromChrono(next - std::chrono::steady_clock::now()));
      }
    }
    // Never read, so every worker sees it.
    const uint64_t one = 1;
    (void)!write(end_, &one, sizeof(one));
  }

  void CloseOverdue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const Instant now = std::chrono::steady_clock::now();
    while (!parked_.empty() && parked_.begin()->first <= now) {
      Connection* const connection = parked_.begin()->second;
      // Late is who did not send, not whom nobody listened to.
      if (waiting_workers_ == 0 && connection->state != State::kSending &&
          IsReadable(connection->fd)) {
        parked_.erase(parked_.begin());
        connection->deadline = now + absl::ToChronoNanoseconds(kBusyExtension);
        parked_.insert({connection->deadline, connection});
      } else {
        CloseLocked(connection);
      }
    }
  }

  // Moves a stop along; true when all connections have ended.
  bool StopStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    listener_.Close();
    const bool overdue = std::chrono::steady_clock::now() >= stop_deadline_;
    std::vector<Connection*> ended;
    for (const auto& [deadline, connection] : parked_) {
      if (overdue || connection->state != State::kSending) ended.push_back(connection);
    }
    for (Connection* connection : ended) CloseLocked(connection);
    if (overdue) {
      aborted_ = true;
      // A handler or a stream that waits for its client notices.
      for (const auto& entry : connections_) shutdown(entry.second->fd, SHUT_RDWR);
    }
    return connections_.empty();
  }

  // ---- On any thread.

  void Arm(int operation, int fd, uint32_t events, uint64_t number) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = number;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void CloseLocked(Connection* connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (connection->parked) parked_.erase({connection->deadline, connection});
    bodies_bytes_ -= connection->body_bytes_counted;
    close(connection->fd);
    connections_.erase(connection->number);
    // A place is free.
    if (accept_paused_ && accept_resume_ == Instant::max()) ResumeAccept();
  }

  void ResumeAccept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    accept_paused_ = false;
    if (!stopping_) Arm(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN | EPOLLONESHOT, kListenerEvent);
  }

  void ParkLocked(Connection* connection, uint32_t events, int operation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    connection->parked = true;
    parked_.insert({connection->deadline, connection});
    if (connection->deadline < timer_next_) timer_wake_.Signal();
    // Under the lock, because from here on the timer may close it.
    Arm(operation, connection->fd, events | EPOLLONESHOT, connection->number);
  }

  // ---- On a worker, which has the connection until it parks or closes it. What returns a bool
  // says whether there is more to do with the connection; after false it is somebody else's.

  void Work() {
    Responder responder(router_, logger_, &metrics_);
    const std::unique_ptr<char[]> buffer(new char[kReadBytes]);  // Pages are touched when needed.
    epoll_event event;
    while (true) {
      ++waiting_workers_;
      const int count = epoll_wait(epoll_, &event, 1, -1);
      --waiting_workers_;
      if (count != 1) continue;
      if (event.data.u64 == kEndEvent) return;
      if (event.data.u64 == kListenerEvent) {
        Accept();
      } else if (Connection* const connection = Take(event.data.u64); connection != nullptr) {
        OnReady(connection, buffer.get(), &responder);
      }
    }
  }

  // Null when the timer was faster.
  Connection* Take(uint64_t number) {
    MutexLock lock(&mu_);
    const auto found = connections_.find(number);
    if (found == connections_.end() || !found->second->parked) return nullptr;
    Connection* const connection = found->second.get();
    connection->parked = false;
    parked_.erase({connection->deadline, connection});
    return connection;
  }

  bool Park(Connection* connection, State state, uint32_t events, Instant deadline) {
    connection->state = state;
    connection->deadline = deadline;
    MutexLock lock(&mu_);
    ParkLocked(connection, events, EPOLL_CTL_MOD);
    // It can make room now.
    if (state == State::kIdle && accept_paused_ && accept_resume_ == Instant::max()) ResumeAccept();
    return false;
  }

  bool Close(Connection* connection) {
    MutexLock lock(&mu_);
    CloseLocked(connection);
    return false;
  }

  void Accept() {
    MutexLock lock(&mu_);
    while (!stopping_) {
      // Asked first, because accept() can fail for want of descriptors although nobody waits.
      if (!IsReadable(listener_.fd())) {
        return Arm(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN | EPOLLONESHOT, kListenerEvent);
      }
      if (connections_.size() >= options_.connections_max && !CloseOldestIdle()) {
        return PauseAccept(Instant::max());  // The backlog waits until a connection ends.
      }
      sockaddr_storage address{};
      socklen_t length = sizeof(address);
      const int fd = accept4(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) continue;
        if ((errno == EMFILE || errno == ENFILE) && CloseOldestIdle()) continue;
        logger_.Warn("accept failed", {{"err", std::strerror(errno)}});
        return PauseAccept(InstantAfter(kAcceptPause));
      }
      AddConnection(fd, AddressText(address));
    }
  }

  void PauseAccept(Instant resume) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    accept_paused_ = true;
    accept_resume_ = resume;
    if (resume < timer_next_) timer_wake_.Signal();
  }

  void AddConnection(int fd, std::string remote_address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    auto owned = std::make_unique<Connection>();
    Connection* const connection = owned.get();
    connection->number = next_connection_++;
    connection->fd = fd;
    connection->remote_address = std::move(remote_address);
    connection->deadline = InstantAfter(options_.idle_timeout);
    connections_.emplace(connection->number, std::move(owned));
    ParkLocked(connection, EPOLLIN, EPOLL_CTL_ADD);
  }

  // One whose request waits for a free worker is not idle.
  bool CloseOldestIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const auto& [deadline, connection] : parked_) {
      if (connection->state != State::kIdle || IsReadable(connection->fd)) continue;
      CloseLocked(connection);
      return true;
    }
    return false;
  }

  void OnReady(Connection* connection, char* buffer, Responder* responder) {
    switch (connection->state) {
      case State::kIdle:
      case State::kHead:
      case State::kBody:
        if (!Receive(connection, buffer)) return;
        break;
      case State::kSending:
        if (!Send(connection)) return;
        break;
      case State::kLinger:
        if (!Receive(connection, buffer)) return;
        connection->linger_bytes += connection->in.size();
        connection->in.clear();
        if (connection->linger_bytes > kLingerBytesMax) {
          Close(connection);
        } else {
          Park(connection, State::kLinger, EPOLLIN, connection->deadline);
        }
        return;
      case State::kRunning:
        NARTHEX_CHECK(false);
    }
    // Requests may have come several at once.
    while (Advance(connection) && Answer(connection, responder) && Send(connection)) {
    }
  }

  // Appends what has arrived to the input.
  bool Receive(Connection* connection, char* buffer) {
    ssize_t received = 0;
    do {
      received = recv(connection->fd, buffer, kReadBytes, 0);
    } while (received < 0 && errno == EINTR);
    if (received > 0) connection->in.append(buffer, static_cast<size_t>(received));
    if (received > 0 || (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))) return true;
    return Close(connection);
  }

  // Takes the input as far as it goes; true when there is a whole request to answer.
  bool Advance(Connection* connection) {
    if (connection->state == State::kIdle) {
      if (connection->in.empty()) {
        if (connection->in.capacity() > kIdleBufferBytes) connection->in.shrink_to_fit();
        return Park(connection, State::kIdle, EPOLLIN, InstantAfter(options_.idle_timeout));
      }
      connection->state = State::kHead;
      connection->parser = RequestParser();
      connection->deadline = InstantAfter(options_.head_timeout);
    }
    if (connection->state == State::kHead) {
      const auto result = connection->parser.ReadHead(&connection->in);
      if (result == RequestParser::Result::kError) return Refuse(connection);
      if (result == RequestParser::Result::kNeedMore) {
        return Park(connection, State::kHead, EPOLLIN, connection->deadline);
      }
      if (!BeginBody(connection)) return false;
      if (connection->state == State::kRunning) return true;
    }
    return ReadBody(connection);
  }

  bool BeginBody(Connection* connection) {
    const RequestHead& head = connection->parser.head();
    // Most have none; the route is looked up to answer it anyway.
    const size_t bytes_max =
        head.has_body() ? router_->BodyBytesMax(head.method, head.raw_path) : kUnroutedBodyBytesMax;
    connection->body_bytes_max = bytes_max == 0 ? kUnroutedBodyBytesMax : bytes_max;
    connection->state = State::kBody;
    connection->input_refused = false;
    if (bytes_max == 0 && head.content_length > connection->body_bytes_max) {
      connection->input_refused = true;  // 404 or 405, whatever the body is.
      return BeginAnswer(connection);
    }
    if (!head.has_body()) return true;
    connection->deadline = InstantAfter(options_.body_timeout);
    if (head.expects_continue && connection->in.empty() &&
        head.content_length <= connection->body_bytes_max) {
      OutBuffer go_on{"HTTP/1.1 100 Continue\r\n\r\n"};
      if (!go_on.SendSome(connection->fd) || !go_on.empty()) return Close(connection);
    }
    return true;
  }

  bool ReadBody(Connection* connection) {
    const auto result = connection->parser.ReadBody(&connection->in, connection->body_bytes_max);
    if (result == RequestParser::Result::kError) return Refuse(connection);
    const size_t size = connection->parser.body().size();
    bodies_bytes_ += size - connection->body_bytes_counted;
    connection->body_bytes_counted = size;
    if (bodies_bytes_ > kBodiesBytesMax) {
      return RefuseWith(connection, 503, "too many request bytes in flight");
    }
    if (result == RequestParser::Result::kNeedMore) {
      return Park(connection, State::kBody, EPOLLIN, connection->deadline);
    }
    return BeginAnswer(connection);
  }

  bool BeginAnswer(Connection* connection) {
    connection->state = State::kRunning;
    Exchange& exchange = connection->exchange;
    exchange = Exchange();
    exchange.fd = connection->fd;
    exchange.remote_address = connection->remote_address;
    exchange.head = connection->parser.TakeHead();
    exchange.body = std::move(connection->parser.body());
    exchange.body_bytes_max = connection->body_bytes_max;
    exchange.aborted = &aborted_;
    exchange.close = !exchange.head.keep_alive || connection->input_refused || stopping_;
    return true;
  }

  bool Answer(Connection* connection, Responder* responder) {
    responder->Answer(&connection->exchange);
    bodies_bytes_ -= std::exchange(connection->body_bytes_counted, 0);
    return true;
  }

  bool Refuse(Connection* connection) {
    return RefuseWith(connection, connection->parser.error_status(), connection->parser.error());
  }

  // Answers a request that cannot be understood or taken, and closes.
  bool RefuseWith(Connection* connection, int status, std::string_view why) {
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
    return Send(connection);
  }

  // Sends the rest of the answer, then goes on with the connection or ends it.
  bool Send(Connection* connection) {
    Exchange& exchange = connection->exchange;
    if (exchange.broken || !exchange.out.SendSome(connection->fd)) return Close(connection);
    if (!exchange.out.empty()) {
      return Park(connection, State::kSending, EPOLLOUT, InstantAfter(kSendTimeout));
    }
    if (!exchange.close) {
      exchange = Exchange();
      connection->state = State::kIdle;
      return true;
    }
    if (!connection->input_refused) return Close(connection);
    shutdown(connection->fd, SHUT_WR);
    connection->in.clear();
    return Park(connection, State::kLinger, EPOLLIN, InstantAfter(kLingerTimeout));
  }

  // Constant after construction.
  const ServerOptions options_;
  const Router* const router_;
  const Logger logger_;
  io::ListenSocket listener_;  // Closed under mu_.
  const int port_;
  ServerMetrics metrics_;  // Synchronises itself.
  const int epoll_;
  const int end_;  // Readable once the workers are to end.

  std::atomic<bool> stopping_{false};
  std::atomic<bool> aborted_{false};
  std::atomic<size_t> bodies_bytes_{0};
  std::atomic<int> waiting_workers_{0};

  Mutex mu_;
  CondVar timer_wake_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Connection>> connections_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<Instant, Connection*>> parked_ ABSL_GUARDED_BY(mu_);
  uint64_t next_connection_ ABSL_GUARDED_BY(mu_) = kFirstConnection;
  Instant timer_next_ ABSL_GUARDED_BY(mu_) = Instant::max();  // When the timer looks again.
  Instant stop_deadline_ ABSL_GUARDED_BY(mu_);
  bool accept_paused_ ABSL_GUARDED_BY(mu_) = false;
  Instant accept_resume_ ABSL_GUARDED_BY(mu_);  // Instant::max(): when a place is free.

  Thread timer_;
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
