#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/json/reader.h"
#include "services/alertmanager/api/api.h"

// Posts arbitrary bytes as alerts and as a silence, and asks for what came of them: every answer
// must be a status we know and, where it has a body, JSON.
namespace {

using namespace narthex;  // NOLINT: a program of one file.

class World {
 public:
  World() {
    silence::SilencesOptions options;
    silences = *silence::Silences::Open(options, nullptr, RealClock(), Logger(), &registry);
    inhibit::Rule rule;
    rule.equal = {"a"};
    auto view = std::make_shared<alertmanager_api::View>();
    view->inhibitor =
        std::make_shared<inhibit::Inhibitor>(std::vector<inhibit::Rule>{rule}, RealClock());
    view->intervals = std::make_shared<notify::NamedIntervals>();
    dispatch::RouteSpec root;
    root.receiver = "r";
    dispatch::DispatcherEnv env;
    env.clock = RealClock();
    env.timers = &timers;
    env.executor = [](std::function<void()>) {};
    env.groups = registry.AddGauge("g", "g");
    env.processing_duration = registry.AddSummary("s", "s", {});
    auto dispatcher = std::make_shared<dispatch::Dispatcher>(
        dispatch::Route::Build(root), std::map<std::string, std::shared_ptr<notify::Pipeline>>(),
        env, absl::InfiniteFuture());
    store.AddListener(dispatcher.get());
    view->dispatcher = dispatcher;
    alertmanager_api::Options api_options;
    api_options.store = &store;
    api_options.ingestion = &ingestion;
    api_options.silences = silences.get();
    api_options.clock = RealClock();
    api_options.view = [view] { return view; };
    api = std::make_unique<alertmanager_api::Api>(std::move(api_options));
    api->Register(&router);
  }

  void Ask(std::string_view method, std::string_view path, std::string_view query,
           std::string_view body) {
    http::ServerRequest request;
    request.method = method;
    request.raw_path = request.path = path;
    http::ParseForm(query, &request.params);
    request.body = body;
    request.headers.Set("Content-Type", "application/json");
    request.cancelled = [] { return false; };
    const http::ServerResponse response = router.Dispatch(request);
    NARTHEX_CHECK(response.status == 200 || response.status == 400 || response.status == 404 ||
                  response.status == 422);
    if (!response.body.empty()) NARTHEX_CHECK_OK(json::Parse(response.body).status());
  }

  metrics::Registry registry;
  notify::TimerQueue timers{RealClock()};
  alerts::AlertStore store{RealClock(), {}};
  alerts::Ingestion ingestion{&store, RealClock(), &registry, NameValidationScheme::kUtf8};
  std::unique_ptr<silence::Silences> silences;
  std::unique_ptr<alertmanager_api::Api> api;
  http::Router router;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  World world;
  world.Ask("POST", "/api/v2/alerts", "", text);
  world.Ask("POST", "/api/v2/silences", "", text);
  world.Ask("GET", "/api/v2/alerts", text, "");
  world.Ask("GET", "/api/v2/alerts", "", "");
  world.Ask("GET", "/api/v2/alerts/groups", "", "");
  world.Ask("GET", "/api/v2/silences", text, "");
  return 0;
}
