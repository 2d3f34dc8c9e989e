#ifndef NARTHEX_LIB_SERVICE_SERVICE_H_
#define NARTHEX_LIB_SERVICE_SERVICE_H_

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/flags/flags.h"
#include "lib/service/env.h"

namespace narthex::service {

// What Run needs of an App, without its type.
struct RunningApp {
  std::function<absl::Status()> start;
  std::function<absl::Status()> reload;
  std::function<void()> stop;
};
using AppFactory = std::function<absl::StatusOr<RunningApp>(Env env)>;

// Blocks SIGHUP, SIGTERM and SIGINT in all threads and waits for them on its own; SIGHUP and
// Env::request_reload go through a queue of one. Any error before the App runs is one line on
// standard error, "narthex-storage: --storage.path /x: permission denied", and exit code 1. SIGTERM
// stops the App and exits 0. Also handles --log.level, --log.format, --help, --version.
int RunApp(int argc, char** argv, std::string_view name,
           const std::function<void(flags::FlagSet*)>& register_flags, const AppFactory& factory);

// App has: struct Options; static void RegisterFlags(flags::FlagSet*, Options*); static
// StatusOr<unique_ptr<App>> Create(const Options&, Env); Status Start(); Status Reload(); void
// Stop().
template <typename App, typename Options>
int Run(int argc, char** argv, std::string_view name,
        void (*register_flags)(flags::FlagSet*, Options*)) {
  Options options;
  std::unique_ptr<App> app;
  return RunApp(
      argc, argv, name, [&](flags::FlagSet* flags) { register_flags(flags, &options); },
      [&](Env env) -> absl::StatusOr<RunningApp> {
        absl::StatusOr<std::unique_ptr<App>> created = App::Create(options, std::move(env));
        if (!created.ok()) return created.status();
        app = std::move(created).value();
        return RunningApp{[&app] { return app->Start(); }, [&app] { return app->Reload(); },
                          [&app] {
                            app->Stop();
                            app.reset();  // Before the registry and the logger that it uses.
                          }};
      });
}

// "0.1.0", and the revision it was built from, or "unknown".
std::string_view Version();
std::string_view Revision();

}  // namespace narthex::service

#endif  // NARTHEX_LIB_SERVICE_SERVICE_H_
