#include "lib/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/io/listen_socket.h"
#include "lib/rpc/runtime.h"

namespace narthex::rpc {
namespace {

constexpr int kMessageBytesMax = 64 << 20;
// Threads beside the expected streams: unary calls under way, and the pollers. gRPC refuses calls
// beyond the sum, so it is generous; threads are made only when there are calls.
constexpr int kThreadsMargin = 128;
constexpr std::string_view kUnixPrefix = "unix:";

// Learns the names of the registered services while the server is built.
class ServiceNamesPlugin : public grpc::ServerBuilderPlugin {
 public:
  explicit ServiceNamesPlugin(std::vector<std::string>* names) : names_(names) {}
  std::string name() override { return "narthex.service_names"; }
  void InitServer(grpc::ServerInitializer*) override {}
  void Finish(grpc::ServerInitializer* initializer) override {
    *names_ = *initializer->GetServiceList();
  }
  void ChangeArguments(const std::string&, void*) override {}

 private:
  std::vector<std::string>* const names_;
};

class ServiceNamesOption : public grpc::ServerBuilderOption {
 public:
  explicit ServiceNamesOption(std::vector<std::string>* names) : names_(names) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->push_back(std::make_unique<ServiceNamesPlugin>(names_));
  }

 private:
  std::vector<std::string>* const names_;
};

// gRPC takes a unix path over from whoever listens there, so ask first.
absl::Status CheckUnixPathFree(const std::string& address) {
  std::string_view path = std::string_view(address).substr(kUnixPrefix.size());
  if (path.starts_with("///")) path.remove_prefix(2);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return InvalidArgument("listen on ", address, ": path is empty or too long");
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Internal("listen on ", address, ": ", std::strerror(errno));
  const bool taken = connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  close(fd);
  if (taken) return AlreadyExists("listen on ", address, ": address already in use");
  return absl::OkStatus();
}

// gRPC reports a port it cannot take on its own log and in no error, so the address is tried before
// it gets it.
absl::StatusOr<std::string> CheckedAddress(const std::string& address) {
  if (address.starts_with(kUnixPrefix)) {
    NARTHEX_RETURN_IF_ERROR(CheckUnixPathFree(address));
    return address;
  }
  NARTHEX_RETURN_IF_ERROR(io::ListenSocket::Open(address).status());
  return address[0] == ':' ? StrCat("[::]", address) : address;
}

void EnableProcessWideServices() {
  StartRuntime();
  static const bool done = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)done;
}

}  // namespace

struct Server::Rep {
  std::vector<std::string> service_names;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Create(
    const ServerOptions& options, const std::vector<grpc::Service*>& services) {
  EnableProcessWideServices();
  NARTHEX_ASSIGN_OR_RETURN(const std::string address, CheckedAddress(options.listen_address));
  auto rep = std::make_unique<Rep>();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.SetMaxSendMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Finds clients that vanished without closing; their streams would hold a thread each.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  grpc::ResourceQuota quota("narthex");
  quota.SetMaxThreads(options.streams_max + kThreadsMargin);
  builder.SetResourceQuota(quota);
  builder.SetOption(std::make_unique<ServiceNamesOption>(&rep->service_names));
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &rep->port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  rep->server = builder.BuildAndStart();
  const bool is_unix = address.starts_with(kUnixPrefix);
  if (rep->server == nullptr || (!is_unix && rep->port <= 0)) {
    return Unavailable("listen on ", options.listen_address, ": the gRPC server did not start");
  }
  if (is_unix) rep->port = 0;
  std::unique_ptr<Server> server(new Server(std::move(rep)));
  server->SetReady(false);
  return server;
}

Server::Server(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

Server::~Server() { Stop(absl::ZeroDuration()); }

void Server::SetReady(bool ready) {
  grpc::HealthCheckServiceInterface* health = rep_->server->GetHealthCheckService();
  health->SetServingStatus("", ready);
  for (const std::string& name : rep_->service_names) health->SetServingStatus(name, ready);
}

void Server::Stop(absl::Duration grace) {
  SetReady(false);
  rep_->server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
}

int Server::port() const { return rep_->port; }

}  // namespace narthex::rpc
