#include "lib/service/service.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/http/router.h"
#include "lib/service/ops_handlers.h"

namespace narthex::service {
namespace {

// What a test App did, written to standard output for the parent.
struct TestOptions {
  std::string fail_at;
};

class TestApp {
 public:
  static void RegisterFlags(flags::FlagSet* flags, TestOptions* options) {
    flags->String("fail.at", &options->fail_at, "Where to fail.");
  }
  static absl::StatusOr<std::unique_ptr<TestApp>> Create(const TestOptions& options, Env env) {
    if (options.fail_at == "create") return InvalidArgument("--storage.path /x: permission denied");
    return std::make_unique<TestApp>(options, std::move(env));
  }
  TestApp(TestOptions options, Env env) : options_(std::move(options)), env_(std::move(env)) {}
  ~TestApp() { Say("destroyed\n"); }
  absl::Status Start() {
    Say("started\n");
    return options_.fail_at == "start" ? Unavailable("cannot start") : absl::OkStatus();
  }
  absl::Status Reload() {
    Say("reloaded\n");
    return InvalidArgument("bad file");
  }
  void Stop() { Say("stopped\n"); }

 private:
  static void Say(std::string_view text) {
    CHECK(write(STDOUT_FILENO, text.data(), text.size()) > 0);
  }
  const TestOptions options_;
  const Env env_;
};

// Runs the App in a child; sends it `signals` one after another, each after the App has answered
// the one before.
struct Child {
  explicit Child(std::vector<std::string> args) {
    int out[2], err[2];
    REQUIRE((pipe(out) == 0 && pipe(err) == 0));
    pid = fork();
    if (pid == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      std::vector<char*> argv = {const_cast<char*>("narthex-test")};
      for (std::string& arg : args) argv.push_back(arg.data());
      const int code = Run<TestApp, TestOptions>(static_cast<int>(argv.size()), argv.data(), "test",
                                                 &TestApp::RegisterFlags);
      std::fflush(stdout);
      _exit(code);
    }
    close(out[1]);
    close(err[1]);
    out_fd = out[0];
    err_fd = err[0];
  }
  void ReadUntil(std::string_view text) {
    char buffer[256];
    while (output.find(text) == std::string::npos) {
      const ssize_t got = read(out_fd, buffer, sizeof buffer);
      if (got <= 0) return;
      output.append(buffer, static_cast<size_t>(got));
    }
  }
  int Wait() {
    ReadUntil("\x01");  // Never comes: reads to the end.
    char buffer[4096];
    for (ssize_t got; (got = read(err_fd, buffer, sizeof buffer)) > 0;)
      errors.append(buffer, static_cast<size_t>(got));
    int status = 0;
    waitpid(pid, &status, 0);
    close(out_fd);
    close(err_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  pid_t pid;
  int out_fd, err_fd;
  std::string output, errors;
};

TEST_CASE("SIGHUP reloads, SIGTERM stops, and the App goes before its environment") {
  Child child({});
  child.ReadUntil("started");
  kill(child.pid, SIGHUP);
  child.ReadUntil("reloaded");
  kill(child.pid, SIGTERM);
  CHECK(child.Wait() == 0);
  CHECK(child.output == "started\nreloaded\nstopped\ndestroyed\n");
}

TEST_CASE("What fails before the App runs is one line and exit code 1") {
  Child create({"--fail.at=create"});
  CHECK(create.Wait() == 1);
  CHECK(create.errors.find("narthex-test: --storage.path /x: permission denied\n") !=
        std::string::npos);
  Child flag({"--nope"});
  CHECK(flag.Wait() == 1);
  CHECK(flag.errors == "narthex-test: unknown flag --nope; see narthex-test --help\n");
  Child start({"--fail.at=start"});
  CHECK(start.Wait() == 1);
  CHECK(start.output == "started\nstopped\ndestroyed\n");
}

TEST_CASE("Help and version end well") {
  Child help({"--help"});
  CHECK(help.Wait() == 0);
  CHECK(help.output.find("--fail.at") != std::string::npos);
  CHECK(help.output.find("--log.level") != std::string::npos);
  Child version({"--version"});
  CHECK(version.Wait() == 0);
  CHECK(version.output.rfind("narthex-test 0.", 0) == 0);
}

TEST_CASE("The operational handlers answer as upstream's do") {
  metrics::Registry registry;
  Env env;
  env.clock = RealClock();
  env.registry = &registry;
  absl::Status reload_result;
  env.request_reload = [&reload_result] { return reload_result; };
  bool stopped = false;
  env.request_stop = [&stopped] { stopped = true; };
  bool ready = false;
  const auto ask = [](const http::Router& router, const char* method, const char* path) {
    http::ServerRequest request;
    request.method = method;
    request.raw_path = request.path = path;
    return router.Dispatch(request);
  };
  http::Router off;
  AddOpsHandlers(&off, env, {"storage", [&ready] { return ready; }, false});
  CHECK(ask(off, "GET", "/-/healthy").body == "Narthex Storage is Healthy.\n");
  CHECK(ask(off, "GET", "/-/ready").status == 503);
  ready = true;
  CHECK(ask(off, "GET", "/-/ready").status == 200);
  CHECK(ask(off, "POST", "/-/reload").status == 403);
  CHECK(ask(off, "GET", "/-/reload").status == 405);
  CHECK(ask(off, "POST", "/-/quit").status == 403);
  CHECK(ask(off, "GET", "/").body.find("<h1>Narthex Storage</h1>") != std::string::npos);
  const auto metrics = ask(off, "GET", "/metrics");
  CHECK(metrics.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body.find("narthex_build_info{") != std::string::npos);
  CHECK(metrics.body.find("\nprocess_resident_memory_bytes ") != std::string::npos);

  metrics::Registry second_registry;
  env.registry = &second_registry;
  http::Router on;
  AddOpsHandlers(&on, env, {"storage", [] { return true; }, true});
  CHECK(ask(on, "POST", "/-/reload").status == 200);
  reload_result = InvalidArgument("prometheus.yml:3:1: unknown field");
  CHECK(ask(on, "PUT", "/-/reload").status == 500);
  CHECK(ask(on, "POST", "/-/reload").body ==
        "failed to reload config: prometheus.yml:3:1: unknown field\n");
  CHECK(ask(on, "POST", "/-/quit").status == 200);
  CHECK(stopped);
}

}  // namespace
}  // namespace narthex::service
