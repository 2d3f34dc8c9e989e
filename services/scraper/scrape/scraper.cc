#include "services/scraper/scrape/scraper.h"

#include <utility>

#include "lib/base/hash.h"
#include "lib/base/status_macros.h"

namespace narthex::scrape {
namespace {

// At most one scrape a target is under way, so this is a bound for more targets than one scraper
// has.
constexpr size_t kWaitingScrapesMax = 100000;

}  // namespace

absl::StatusOr<std::unique_ptr<Scraper>> Scraper::Create(ScraperOptions options, Clock* clock,
                                                         io::FileSystem* file_system,
                                                         storage::BatchSink* sink, Logger logger,
                                                         metrics::Registry* registry) {
  NARTHEX_ASSIGN_OR_RETURN(std::unique_ptr<http::Client> client, http::Client::Create());
  return std::unique_ptr<Scraper>(new Scraper(std::move(options), clock, file_system, sink,
                                              std::move(logger), registry, std::move(client)));
}

Scraper::Scraper(ScraperOptions options, Clock* clock, io::FileSystem* file_system,
                 storage::BatchSink* sink, Logger logger, metrics::Registry* registry,
                 std::unique_ptr<http::Client> client)
    : options_(std::move(options)),
      file_system_(file_system),
      metrics_(registry),
      workers_("scrape", options_.workers, kWaitingScrapesMax),
      schedule_(clock),
      client_(std::move(client)) {
  context_.clock = clock;
  context_.client = client_.get();
  context_.workers = &workers_;
  context_.schedule = &schedule_;
  context_.sink = sink;
  context_.metrics = &metrics_;
  context_.logger = std::move(logger);
  context_.alignment = options_.alignment;
  context_.user_agent = options_.user_agent;
  schedule_.Start();
}

Scraper::~Scraper() { Stop(); }

void Scraper::Apply(const std::vector<config::ScrapeConfig>& jobs, const Labels& external_labels) {
  const uint64_t offset_seed = StableHash(options_.host_name + external_labels.ToString());
  std::map<std::string, std::shared_ptr<ScrapePool>> gone;
  MutexLock lock(&mu_);
  gone.swap(pools_);
  std::map<std::string, std::shared_ptr<FailureLog>> failure_logs;
  for (const config::ScrapeConfig& config : jobs) {
    std::shared_ptr<FailureLog>& failure_log = failure_logs[config.scrape_failure_log_file];
    if (failure_log == nullptr) failure_log = OpenFailureLog(config.scrape_failure_log_file);
    std::shared_ptr<const ScrapeJob> job = ScrapeJob::Make(config, file_system_, failure_log);
    std::shared_ptr<ScrapePool>& pool = pools_[config.job_name];
    const auto it = gone.find(config.job_name);
    if (it != gone.end()) {
      pool = std::move(it->second);
      gone.erase(it);
      pool->Reload(std::move(job), offset_seed);
    } else {
      pool = std::make_shared<ScrapePool>(&context_, std::move(job), offset_seed);
    }
  }
  for (const auto& [name, pool] : gone) pool->Retire();
  failure_logs_ = std::move(failure_logs);
}

std::shared_ptr<FailureLog> Scraper::OpenFailureLog(const std::string& path) {
  if (path.empty()) return nullptr;
  std::shared_ptr<FailureLog> log;
  if (const auto it = failure_logs_.find(path); it != failure_logs_.end()) log = it->second;
  if (log == nullptr) log = std::make_shared<FailureLog>(file_system_, context_.clock, path);
  const absl::Status status = log->Open();
  if (!status.ok()) {
    context_.logger.Error("the log of failed scrapes cannot be written", {{"err", status}});
  }
  return log;
}

void Scraper::OnTargets(const discovery::TargetSets& sets) {
  MutexLock lock(&mu_);
  for (const auto& [name, pool] : pools_) {
    const auto it = sets.find(name);
    if (it != sets.end()) pool->Sync(it->second);
  }
}

void Scraper::Stop() {
  {
    MutexLock lock(&mu_);
    for (const auto& [name, pool] : pools_) pool->Stop();
  }
  schedule_.Stop();
  client_.reset();  // Fetches under way end with Cancelled, and their loops are stopped.
  workers_.Stop();
}

std::vector<std::string> Scraper::pool_names() const {
  std::vector<std::string> names;
  MutexLock lock(&mu_);
  for (const auto& [name, pool] : pools_) names.push_back(name);
  return names;
}

void Scraper::ForEachPool(
    const std::function<void(const std::string&, const ScrapePool&)>& visit) const {
  std::map<std::string, std::shared_ptr<ScrapePool>> pools;
  {
    MutexLock lock(&mu_);
    pools = pools_;
  }
  for (const auto& [name, pool] : pools) visit(name, *pool);
}

}  // namespace narthex::scrape
