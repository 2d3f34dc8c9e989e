// What a fetch costs a scraper with many targets, and a request a server, on kept connections. The
// two ends are two processes, so that each can be charged alone. Every target is a loopback address
// of its own, because connections are kept by address.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "tests/support/bench.h"

namespace {

using narthex::StrCat;

constexpr size_t kBodyBytes = 10000;

void RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Serves until the parent ends it; tells its port through `pipe_fd`, and prints what it has used
// when it is told to stop.
void Serve(int pipe_fd) {
  narthex::http::Router router;
  const std::string body(kBodyBytes, 'x');
  router.Handle("GET", "/metrics", [&body](const narthex::http::ServerRequest&) {
    return narthex::http::ServerResponse::Text(200, body);
  });
  narthex::http::ServerOptions options;
  options.listen_address = ":0";
  options.connections_max = 20000;
  auto server = narthex::http::Server::Create(options, &router, narthex::Logger(), nullptr);
  NARTHEX_CHECK(server.ok());
  (*server)->Start();
  const int port = (*server)->port();
  NARTHEX_CHECK(write(pipe_fd, &port, sizeof(port)) == sizeof(port));
  pause();
}

// Fetches from each of `targets` addresses once.
void FetchAll(narthex::http::Client* client, int port, int targets) {
  std::atomic<int> left{targets};
  std::atomic<int> failed{0};
  narthex::StopSignal done;
  for (int i = 0; i < targets; ++i) {
    narthex::http::ClientRequest request;
    request.url = StrCat("http://127.1.", i / 250, ".", i % 250 + 1, ":", port, "/metrics");
    request.timeout = absl::Seconds(60);
    request.headers.Add("Accept-Encoding", "identity");
    client->FetchAsync(request, [&](absl::StatusOr<narthex::http::ClientResponse> answer) {
      if (!answer.ok()) std::fprintf(stderr, "%s\n", answer.status().ToString().c_str());
      if (!answer.ok() || answer->body.size() != kBodyBytes) ++failed;
      if (--left == 0) done.Set();
    });
  }
  NARTHEX_CHECK(done.WaitFor(absl::Seconds(120)));
  NARTHEX_CHECK(failed == 0);
}

}  // namespace

int main() {
  RaiseDescriptorLimit();
  int pipe_fds[2];
  NARTHEX_CHECK(pipe(pipe_fds) == 0);
  const pid_t server = fork();
  if (server == 0) {
    Serve(pipe_fds[1]);
    return 0;
  }
  int port = 0;
  NARTHEX_CHECK(read(pipe_fds[0], &port, sizeof(port)) == sizeof(port));
  for (const int targets : {100, 1000, 9000}) {
    auto client = narthex::http::Client::Create();
    NARTHEX_CHECK(client.ok());
    narthex::testing::BenchOptions options;
    options.runs = 5;
    options.bytes = kBodyBytes;
    narthex::testing::RunBench(
        StrCat("fetch of 10 kB from each of ", targets, " targets"), static_cast<size_t>(targets),
        [&] { FetchAll(client->get(), port, targets); }, options);
  }
  kill(server, SIGTERM);
  int status = 0;
  rusage usage{};
  wait4(server, &status, 0, &usage);
  std::printf("server process: %.2f s CPU in all\n",
              static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                  static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
  return 0;
}
