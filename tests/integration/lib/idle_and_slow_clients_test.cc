#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/http/server.h"
#include "tests/support/raw_socket.h"

namespace narthex::http {
namespace {

using testing::RawConnection;

constexpr int kIdleClients = 512;
constexpr int kSlowClients = 500;
constexpr int kQueries = 200;

int ThreadsOfThisProcess() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    int64_t threads = 0;
    if (line.starts_with("Threads:") && ParseInt64(TrimSpace(line.substr(8)), &threads)) {
      return static_cast<int>(threads);
    }
  }
  return -1;
}

void AllowDescriptors(rlim_t count) {
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(limit.rlim_max >= count);
  limit.rlim_cur = std::max(limit.rlim_cur, count);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

TEST_CASE("512 idle connections and 500 slow-loris clients do not delay a GET") {
  AllowDescriptors(4096);
  Router router;
  router.Handle("GET", "/query",
                [](const ServerRequest&) { return ServerResponse::Text(200, "answer"); });
  ServerOptions options;
  options.workers = 4;
  auto server = Server::Create(options, &router, Logger(), nullptr);
  REQUIRE(server.ok());
  (*server)->Start();
  const int port = (*server)->port();
  const int threads_before = ThreadsOfThisProcess();

  // Half of the idle clients have been served once and keep their connection; half never say
  // anything.
  std::vector<RawConnection> idle;
  for (int i = 0; i < kIdleClients; ++i) {
    idle.push_back(RawConnection::Connect(port));
    REQUIRE(idle.back().connected());
    if (i % 2 == 0) {
      idle.back().Send("GET /query HTTP/1.1\r\nHost: x\r\n\r\n");
      REQUIRE(idle.back().ReadAnswer().ends_with("answer"));
    }
  }
  std::vector<RawConnection> slow;
  for (int i = 0; i < kSlowClients; ++i) {
    slow.push_back(RawConnection::Connect(port));
    REQUIRE(slow.back().connected());
    slow.back().Send("GET /query HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  }
  // A byte now and then from each, all the while.
  std::atomic<int64_t> bytes_dripped{0};
  StopSignal stop;
  Thread dripping("dripping", [&] {
    for (size_t i = 0; !stop.stopped(); i = (i + 1) % slow.size()) {
      if (slow[i].Send("x")) ++bytes_dripped;
      if (i % 50 == 49) stop.WaitFor(absl::Milliseconds(10));
    }
  });

  CHECK(ThreadsOfThisProcess() == threads_before + 1);
  std::vector<double> milliseconds;
  for (int i = 0; i < kQueries; ++i) {
    stop.WaitFor(absl::Milliseconds(5));  // So that each slow client has its turn meanwhile.
    const auto start = std::chrono::steady_clock::now();
    RawConnection connection = RawConnection::Connect(port);
    connection.Send("GET /query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    REQUIRE(connection.ReadAnswer().ends_with("answer"));
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  stop.Set();
  dripping.Join();
  std::sort(milliseconds.begin(), milliseconds.end());
  const double median = milliseconds[milliseconds.size() / 2];
  const double worst = milliseconds.back();
  WARN("GET with " << kIdleClients << " idle and " << kSlowClients << " slow clients: median "
                   << median << " ms, worst of " << kQueries << ": " << worst << " ms, "
                   << bytes_dripped << " bytes dripped meanwhile");
  CHECK(bytes_dripped >= kSlowClients);
  CHECK(median < 20);
  CHECK(worst < 1000);
  // The idle ones were not thrown out for it.
  for (RawConnection& connection : {std::ref(idle.front()), std::ref(idle.back())}) {
    connection.Send("GET /query HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(connection.ReadAnswer().ends_with("answer"));
  }
}

TEST_CASE("Clients that send their body slowly hold no worker either") {
  Router router;
  router.Handle("POST", "/push", [](const ServerRequest& request) {
    return ServerResponse::Text(200, request.body);
  });
  ServerOptions options;
  options.workers = 1;
  auto server = Server::Create(options, &router, Logger(), nullptr);
  REQUIRE(server.ok());
  (*server)->Start();
  std::vector<RawConnection> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(RawConnection::Connect((*server)->port()));
    slow.back().Send("POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
  }
  RawConnection quick = RawConnection::Connect((*server)->port());
  quick.Send("POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nquick");
  CHECK(quick.ReadAnswer(absl::Seconds(5)).ends_with("quick"));
  for (RawConnection& connection : slow) {
    connection.Send("67890");
    CHECK(connection.ReadAnswer().ends_with("1234567890"));
  }
}

TEST_CASE("A client that does not read its answer holds no worker") {
  Router router;
  router.Handle("GET", "/large", [](const ServerRequest&) {
    return ServerResponse::Text(200, std::string(32 << 20, 'x'));
  });
  router.Handle("GET", "/small",
                [](const ServerRequest&) { return ServerResponse::Text(200, "small"); });
  ServerOptions options;
  options.workers = 1;
  auto server = Server::Create(options, &router, Logger(), nullptr);
  REQUIRE(server.ok());
  (*server)->Start();
  std::vector<RawConnection> lazy;
  for (int i = 0; i < 3; ++i) {
    lazy.push_back(RawConnection::Connect((*server)->port()));
    lazy.back().Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  RawConnection quick = RawConnection::Connect((*server)->port());
  quick.Send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(quick.ReadAnswer().ends_with("small"));
  CHECK(lazy[0].ReadAnswer().size() > (32 << 20));
}

}  // namespace
}  // namespace narthex::http
