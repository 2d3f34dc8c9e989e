#include "lib/service/service.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <deque>
#include <exception>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "lib/base/mutex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"

namespace narthex::service {
namespace {

// What the main thread waits for: one pending reload at most, and the order to stop. Thread-safe.
class Events {
 public:
  // Queues a reload, or joins the one that is queued, and waits for its result.
  absl::Status RequestReload() {
    MutexLock lock(&mu_);
    if (stop_) return Unavailable("shutting down");
    reload_wanted_ = true;
    const uint64_t wanted = reloads_started_ + 1;  // The first one that starts after this call.
    changed_.SignalAll();
    while (reloads_done_ < wanted && !stop_) changed_.Wait(&mu_);
    return reloads_done_ < wanted ? Unavailable("shutting down") : last_reload_;
  }
  // For a signal: does not wait.
  void PostReload() {
    MutexLock lock(&mu_);
    reload_wanted_ = true;
    changed_.SignalAll();
  }
  void PostStop() {
    MutexLock lock(&mu_);
    stop_ = true;
    changed_.SignalAll();
  }
  // Runs reloads on this thread until PostStop().
  void Serve(const std::function<absl::Status()>& reload) {
    MutexLock lock(&mu_);
    while (!stop_) {
      if (!reload_wanted_) {
        changed_.Wait(&mu_);
        continue;
      }
      reload_wanted_ = false;
      ++reloads_started_;
      mu_.Unlock();
      const absl::Status result = reload();
      mu_.Lock();
      last_reload_ = result;
      reloads_done_ = reloads_started_;
      changed_.SignalAll();
    }
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool reload_wanted_ ABSL_GUARDED_BY(mu_) = false;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t reloads_started_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t reloads_done_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status last_reload_ ABSL_GUARDED_BY(mu_);
};

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Every connection, segment and mapped block is a descriptor, and the usual soft limit of 1,024 is
// for programs that use select(). Go's programs raise it as well.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Fail(std::string_view program, const absl::Status& status) {
  const std::string line = StrCat(program, ": ", Message(status), "\n");
  std::fwrite(line.data(), 1, line.size(), stderr);
  return 1;
}

// A second SIGTERM or SIGINT while stopping ends the process at once: somebody is in a hurry.
void WaitForSignals(Events* events, const StopSignal* done, const Logger& logger) {
  const sigset_t set = OurSignals();
  bool stopping = false;
  while (!done->stopped()) {
    const timespec poll = {0, 100000000};
    const int signal = sigtimedwait(&set, nullptr, &poll);
    if (signal == SIGHUP) {
      events->PostReload();
    } else if (signal == SIGTERM || signal == SIGINT) {
      if (stopping) _exit(1);
      stopping = true;
      logger.Info("received a signal, stopping",
                  {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
      events->PostStop();
    }
  }
}

int RunChecked(int argc, char** argv, std::string_view name,
               const std::function<void(flags::FlagSet*)>& register_flags,
               const AppFactory& factory) {
  // The distribution builds Abseil with the search for lock cycles switched on: one table, under
  // one lock, that every second mutex of a thread goes through. The tests keep it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::string program = StrCat("narthex-", name);
  std::string log_level = "info";
  std::string log_format = "logfmt";
  flags::FlagSet flags(program, StrCat(program, " ", Version(), " (revision ", Revision(), ")"),
                       StrCat("The ", name, " service of Narthex."));
  register_flags(&flags);
  flags.Enum("log.level", &log_level, {"debug", "info", "warn", "error"},
             "Only log messages with the given severity or above.");
  flags.Enum("log.format", &log_format, {"logfmt", "json"}, "Output format of log messages.");
  const absl::StatusOr<flags::ParseResult> parsed = flags.Parse(argc, argv);
  if (!parsed.ok()) return Fail(program, parsed.status());
  if (*parsed == flags::ParseResult::kExit) return 0;

  RaiseDescriptorLimit();
  const sigset_t signals = OurSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  metrics::Registry registry;
  Events events;
  Env env;
  env.clock = RealClock();
  env.file_system = io::PosixFileSystem();
  env.logger = Logger::ToStderr(*ParseLogLevel(log_level), *ParseLogFormat(log_format), env.clock);
  env.registry = &registry;
  env.request_reload = [&events] { return events.RequestReload(); };
  env.request_stop = [&events] { events.PostStop(); };
  env.flags = flags.Values();
  const Logger logger = env.logger;
  for (const std::string& text : flags.ignored()) {
    logger.Warn("a flag has no meaning here and is ignored", {{"flag", text}});
  }
  logger.Info("starting", {{"service", name}, {"version", Version()}, {"revision", Revision()}});

  absl::StatusOr<RunningApp> app = factory(std::move(env));
  if (!app.ok()) return Fail(program, app.status());
  StopSignal done;
  Thread signal_thread("signals", [&] { WaitForSignals(&events, &done, logger); });
  const absl::Status started = app->start();
  if (started.ok()) events.Serve(app->reload);
  app->stop();
  done.Set();
  signal_thread.Join();
  if (!started.ok()) return Fail(program, started);
  logger.Info("stopped", {{"service", name}});
  return 0;
}

}  // namespace

int RunApp(int argc, char** argv, std::string_view name,
           const std::function<void(flags::FlagSet*)>& register_flags, const AppFactory& factory) {
  try {
    return RunChecked(argc, argv, name, register_flags, factory);
  } catch (const std::exception& error) {
    // None of our code throws; this is a library's, or memory that ran out.
    std::fprintf(stderr, "narthex-%s: unexpected exception: %s\n", std::string(name).c_str(),
                 error.what());
    return 1;
  }
}

}  // namespace narthex::service
