#include "services/alertmanager/alertmanager_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/status.h"
#include "narthex/v1/alertmanager.grpc.pb.h"

namespace narthex::alertmanager_service {

class AlertmanagerService::Rep final : public v1::Alertmanager::Service {
 public:
  Rep(alerts::Ingestion* ingestion, std::function<absl::Status()> reload)
      : ingestion_(ingestion), reload_(std::move(reload)) {}

  grpc::Status PostAlerts(grpc::ServerContext*, const v1::PostAlertsRequest* request,
                          v1::PostAlertsResponse* response) override {
    std::vector<alerts::PostedAlert> posted;
    std::vector<std::pair<size_t, std::string>> errors;
    std::vector<size_t> places;  // Of each posted alert in the request.
    for (int i = 0; i < request->alerts_size(); ++i) {
      absl::StatusOr<Alert> alert = rpc::FromProto(request->alerts(i));
      if (!alert.ok()) {
        errors.emplace_back(i, Message(alert.status()));
        continue;
      }
      alerts::PostedAlert& out = posted.emplace_back();
      for (const LabelView label : alert->labels) out.labels.emplace_back(label.name, label.value);
      for (const LabelView label : alert->annotations) {
        out.annotations.emplace_back(label.name, label.value);
      }
      out.starts_at = alert->starts_at;
      out.ends_at = alert->ends_at;
      out.generator_url = std::move(alert->generator_url);
      places.push_back(static_cast<size_t>(i));
    }
    const alerts::IngestResult result = ingestion_->Post(std::move(posted));
    for (const auto& [index, message] : result.errors) errors.emplace_back(places[index], message);
    std::sort(errors.begin(), errors.end());
    response->set_accepted(result.accepted);
    for (const auto& [index, message] : errors) {
      response->add_errors(StrCat("alert ", index, ": ", message));
    }
    return grpc::Status::OK;
  }

  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                      v1::ReloadResponse*) override {
    return rpc::ToGrpc(reload_());
  }

 private:
  alerts::Ingestion* const ingestion_;
  const std::function<absl::Status()> reload_;
};

AlertmanagerService::AlertmanagerService(alerts::Ingestion* ingestion,
                                         std::function<absl::Status()> reload)
    : rep_(std::make_unique<Rep>(ingestion, std::move(reload))) {}
AlertmanagerService::~AlertmanagerService() = default;

grpc::Service* AlertmanagerService::service() { return rep_.get(); }

}  // namespace narthex::alertmanager_service
