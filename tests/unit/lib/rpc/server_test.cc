#include "lib/rpc/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/status.h"
#include "narthex/v1/pushgateway.grpc.pb.h"

namespace narthex::rpc {
namespace {

// Answers at once, or, while `hold` is set, when the call is cancelled.
class HoldingService : public v1::Pushgateway::Service {
 public:
  grpc::Status Push(grpc::ServerContext* context, const v1::PushRequest* request,
                    v1::PushResponse*) override {
    ++running;
    body_size = request->body().size();
    StopSignal never;
    while (hold && !context->IsCancelled()) never.WaitFor(absl::Milliseconds(5));
    --running;
    if (context->IsCancelled()) return ToGrpc(Cancelled("gone"));
    return request->body() == "bad" ? ToGrpc(InvalidArgument("no such thing")) : grpc::Status::OK;
  }
  std::atomic<bool> hold{false};
  std::atomic<int> running{0};
  std::atomic<size_t> body_size{0};
};

ServerOptions ListenOn(std::string address) {
  ServerOptions options;
  options.listen_address = std::move(address);
  return options;
}

// The health service's answer for `service`: 1 serving, 2 not serving, -1 an error.
int Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  std::string request;
  if (!service.empty()) request = StrCat('\x0a', static_cast<char>(service.size()), service);
  const grpc::Slice slice(request);
  const grpc::ByteBuffer request_bytes(&slice, 1);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  context.set_wait_for_ready(true);
  grpc::CompletionQueue queue;
  auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request_bytes, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return -1;
  grpc::Slice whole;
  response.DumpToSingleSlice(&whole);
  return whole.size() == 2 && whole.begin()[0] == 0x08 ? whole.begin()[1] : -1;
}

grpc::Status Push(const std::shared_ptr<grpc::Channel>& channel, std::string body) {
  auto stub = v1::Pushgateway::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::PushRequest request;
  request.set_body(std::move(body));
  v1::PushResponse response;
  return stub->Push(&context, request, &response);
}

TEST_CASE("Every status code travels with its message and comes back the same") {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    CHECK(ToGrpc(status).error_code() == code);
    CHECK(FromGrpc(ToGrpc(status)) == status);
  }
  CHECK(ToGrpc(absl::OkStatus()).ok());
  CHECK(FromGrpc(grpc::Status::OK).ok());
}

TEST_CASE("Two servers in one process have a readiness of their own") {
  HoldingService service;
  auto one = Server::Create({}, {&service});
  auto two = Server::Create({}, {&service});
  REQUIRE(one.ok());
  REQUIRE(two.ok());
  const auto channel_one = MakeChannel(StrCat("127.0.0.1:", (*one)->port()));
  const auto channel_two = MakeChannel(StrCat("127.0.0.1:", (*two)->port()));
  CHECK(Health(channel_one, "") == 2);
  (*one)->SetReady(true);
  CHECK(Health(channel_one, "") == 1);
  CHECK(Health(channel_one, "narthex.v1.Pushgateway") == 1);
  CHECK(Health(channel_one, "no.such.Service") == -1);
  CHECK(Health(channel_two, "") == 2);
  CHECK(Health(channel_two, "narthex.v1.Pushgateway") == 2);
  (*one)->SetReady(false);
  CHECK(Health(channel_one, "") == 2);
}

TEST_CASE("A status of a handler reaches the client, and so do messages over 4 MiB") {
  HoldingService service;
  auto server = Server::Create({}, {&service});
  REQUIRE(server.ok());
  const auto channel = MakeChannel(StrCat("127.0.0.1:", (*server)->port()));
  CHECK(FromGrpc(Push(channel, "bad")) == InvalidArgument("no such thing"));
  CHECK(Push(channel, std::string(40 << 20, 'x')).ok());
  CHECK(service.body_size == 40 << 20);
}

TEST_CASE("A taken port is one error that names the address") {
  auto first = Server::Create({}, {});
  REQUIRE(first.ok());
  const std::string address = StrCat("127.0.0.1:", (*first)->port());
  auto second = Server::Create(ListenOn(address), {});
  REQUIRE(!second.ok());
  CHECK(Message(second.status()) == StrCat("listen on ", address, ": address already in use"));
  CHECK(Message(Server::Create(ListenOn("nonsense"), {}).status()) ==
        "listen on nonsense: missing port in address");
}

TEST_CASE("A unix socket serves, and a live one is not taken over") {
  const std::string address = StrCat("unix:/tmp/narthex_rpc_test_", getpid(), ".sock");
  HoldingService service;
  auto server = Server::Create(ListenOn(address), {&service});
  REQUIRE(server.ok());
  CHECK((*server)->port() == 0);
  CHECK(Push(MakeChannel(address), "x").ok());
  CHECK(Message(Server::Create(ListenOn(address), {}).status()) ==
        StrCat("listen on ", address, ": address already in use"));
}

TEST_CASE("More calls than expected streams are served, and Stop cancels them after the grace") {
  HoldingService service;
  service.hold = true;
  ServerOptions options;
  options.streams_max = 4;
  auto server = Server::Create(options, {&service});
  REQUIRE(server.ok());
  const auto channel = MakeChannel(StrCat("127.0.0.1:", (*server)->port()));
  constexpr int kCalls = 40;
  std::atomic<int> refused{0};
  {
    std::vector<Thread> calls;
    for (int i = 0; i < kCalls; ++i) {
      calls.emplace_back("call", [&] {
        if (Push(channel, "x").error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) ++refused;
      });
    }
    StopSignal never;
    for (int i = 0; i < 4000 && service.running + refused < kCalls; ++i) {
      never.WaitFor(absl::Milliseconds(5));
    }
    CHECK(service.running == kCalls);
    (*server)->Stop(absl::Milliseconds(20));
    CHECK(service.running == 0);
  }
  CHECK(refused == 0);
}

}  // namespace
}  // namespace narthex::rpc
