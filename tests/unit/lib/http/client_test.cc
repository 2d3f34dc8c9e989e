#include "lib/http/client.h"

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/http/compression.h"
#include "lib/http/server.h"
#include "lib/io/file_system.h"
#include "tests/support/raw_socket.h"

namespace narthex::http {
namespace {

using testing::RawConnection;
using testing::RawServer;

std::unique_ptr<Client> NewClient() {
  auto client = Client::Create();
  REQUIRE(client.ok());
  return std::move(client).value();
}

std::string Url(int port, std::string_view path = "/") {
  return StrCat("http://127.0.0.1:", port, path);
}

ClientRequest Get(std::string url) {
  ClientRequest request;
  request.url = std::move(url);
  return request;
}

std::string ErrorOf(Client& client, ClientRequest request) {
  const auto answer = client.Fetch(std::move(request));
  return answer.ok() ? StrCat("status ", answer->status) : std::string(Message(answer.status()));
}

// Answers with what it got: the head it received becomes the body.
std::unique_ptr<RawServer> MirrorServer() {
  return std::make_unique<RawServer>([](RawConnection connection) {
    while (true) {
      const std::string head = connection.ReadUntil("\r\n\r\n");
      if (head.empty()) return;
      connection.Send(StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", head.size(), "\r\n\r\n", head));
    }
  });
}

struct OurServer {
  OurServer() {
    router.Handle("GET,POST,PUT,DELETE", "/echo", [](const ServerRequest& request) {
      ServerResponse response = ServerResponse::Text(
          200, StrCat(request.method, " ", request.headers.Get("Content-Type"), " ", request.body));
      response.headers.Add("X-Answer", "yes");
      return response;
    });
    router.Handle("GET", "/large", [](const ServerRequest&) {
      return ServerResponse::Text(200, std::string(300000, 'x'));
    });
    router.Handle("GET", "/gone",
                  [](const ServerRequest&) { return ServerResponse::Text(410, "gone"); });
    router.Handle("GET,POST", "/redirect", [](const ServerRequest&) {
      ServerResponse response = ServerResponse::Text(302, "elsewhere");
      response.headers.Add("Location", "/echo");
      return response;
    });
    router.Handle("GET", "/loop", [](const ServerRequest&) {
      ServerResponse response = ServerResponse::Text(302, "elsewhere");
      response.headers.Add("Location", "/loop");
      return response;
    });
    server = Server::Create({}, &router, Logger(), nullptr).value();
    server->Start();
  }
  std::string url(std::string_view path) const { return Url(server->port(), path); }
  Router router;
  std::unique_ptr<Server> server;
};

TEST_CASE("A fetch brings status, headers, body, size and duration") {
  OurServer server;
  const auto client = NewClient();
  const auto answer = client->Fetch(Get(server.url("/echo")));
  REQUIRE(answer.ok());
  CHECK(answer->status == 200);
  CHECK(answer->headers.Get("x-answer") == "yes");
  CHECK(answer->body == "GET  ");
  CHECK(answer->wire_bytes == 5);
  CHECK(answer->duration > absl::ZeroDuration());
  CHECK(client->Fetch(Get(server.url("/gone")))->status == 410);
}

TEST_CASE("Methods carry their bodies") {
  OurServer server;
  const auto client = NewClient();
  for (const std::string method : {"POST", "PUT", "DELETE"}) {
    INFO(method);
    ClientRequest request = Get(server.url("/echo"));
    request.method = method;
    request.body = std::string(2 << 20, 'b');
    request.headers.Add("Content-Type", "application/json");
    const auto answer = client->Fetch(request);
    REQUIRE(answer.ok());
    CHECK(answer->body == StrCat(method, " application/json ", request.body));
    request.body.clear();
    CHECK(client->Fetch(request)->body == StrCat(method, " application/json "));
  }
  ClientRequest head = Get(server.url("/large"));
  head.method = "HEAD";
  const auto answer = client->Fetch(head);
  REQUIRE(answer.ok());
  CHECK(answer->status == 200);
  CHECK(answer->body.empty());
}

TEST_CASE("Packed answers are unpacked and their size on the wire is told") {
  OurServer server;
  const auto client = NewClient();
  auto answer = client->Fetch(Get(server.url("/large")));
  REQUIRE(answer.ok());
  CHECK(answer->body == std::string(300000, 'x'));
  CHECK(answer->wire_bytes < 3000);
  CHECK_FALSE(answer->headers.Has("Content-Encoding"));
  ClientRequest plain = Get(server.url("/large"));
  plain.headers.Add("Accept-Encoding", "identity");
  CHECK(client->Fetch(plain)->wire_bytes == 300000);
}

TEST_CASE("The size bound holds for plain, packed and chunked bodies") {
  OurServer server;
  const auto client = NewClient();
  ClientRequest request = Get(server.url("/large"));
  request.body_bytes_max = 299999;
  CHECK(client->Fetch(request).status() == BodySizeLimitExceeded());
  request.headers.Add("Accept-Encoding", "identity");
  CHECK(client->Fetch(request).status() == BodySizeLimitExceeded());
  request.body_bytes_max = 300000;
  CHECK(client->Fetch(request).ok());
  const std::string bomb = GzipCompress(std::string(100 << 20, '\0'));
  const auto bomber = RawServer::Answering(
      StrCat("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ", bomb.size(),
             "\r\n\r\n", bomb));
  request = Get(Url(bomber->port()));
  request.body_bytes_max = 1000;
  CHECK(client->Fetch(request).status() == BodySizeLimitExceeded());
}

TEST_CASE("Servers that break the rules are errors that say how") {
  struct Case {
    std::string answer;
    std::string error;  // Its beginning.
  };
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::vector<Case> cases = {
      {"", "EOF"},
      {ok + "Content-Length: 100\r\n\r\nshort", "unexpected EOF"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n64\r\nshort", "unexpected EOF"},
      {ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nshort", "read: "},
      {"I do not speak HTTP\r\n\r\n", "malformed HTTP response: "},
      {"HTTP/1.1 nonsense\r\n\r\n", "malformed HTTP response: "},
      {ok + "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip", "gzip: invalid header"},
      {ok + "Content-Encoding: gzip\r\nConnection: close\r\n\r\n" +
           GzipCompress(std::string(5000, 'x')).substr(0, 20),
       "unexpected EOF"},
      {ok + "Content-Encoding: zstd\r\nContent-Length: 7\r\n\r\nno zstd",
       "zstd: Unknown frame descriptor"},
  };
  const auto client = NewClient();
  for (const Case& test : cases) {
    INFO(Quote(test.answer.substr(0, 80)));
    const auto server = RawServer::Answering(test.answer);
    CHECK(ErrorOf(*client, Get(Url(server->port()))).substr(0, test.error.size()) == test.error);
  }
}

TEST_CASE("Connections that cannot be made are told as Go tells them") {
  const auto client = NewClient();
  int free_port = 0;
  {
    RawServer server([](RawConnection) {});
    free_port = server.port();
  }
  const absl::Status refused = client->Fetch(Get(Url(free_port))).status();
  CHECK(absl::IsUnavailable(refused));
  CHECK(Message(refused) ==
        StrCat("dial tcp 127.0.0.1:", free_port, ": connect: connection refused"));
  CHECK(ErrorOf(*client, Get(StrCat("http://[::1]:", free_port, "/"))).find("dial tcp [::1]:") ==
        0);
  CHECK(ErrorOf(*client, Get("http://no-such-host.invalid/")) ==
        "dial tcp: lookup no-such-host.invalid: no such host");
  CHECK(ErrorOf(*client, Get("ftp://127.0.0.1/")) == "unsupported protocol scheme \"ftp\"");
  CHECK(ErrorOf(*client, Get("nonsense")) == "unsupported protocol scheme \"\"");
  CHECK(ErrorOf(*client, Get("http://127.0.0.1:99999/")).find("malformed URL") == 0);
}

TEST_CASE("A server that does not answer, or only drips, runs into the timeout") {
  const auto client = NewClient();
  RawServer silent([](RawConnection connection) { connection.WaitForEnd(); });
  RawServer dripping([](RawConnection connection) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    StopSignal never;
    while (connection.Send("x")) never.WaitFor(absl::Milliseconds(5));
  });
  for (const int port : {silent.port(), dripping.port()}) {
    ClientRequest request = Get(Url(port));
    request.timeout = absl::Milliseconds(100);
    const auto answer = client->Fetch(request);
    CHECK(answer.status() == DeadlineExceeded("context deadline exceeded"));
  }
}

TEST_CASE("A connection that the server resets is an error, and a kept one that it closed is not") {
  std::atomic<int> connections{0};
  RawServer closing([&connections](RawConnection connection) {
    ++connections;
    connection.ReadUntil("\r\n\r\n");
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");  // And closes.
  });
  const auto client = NewClient();
  for (int i = 0; i < 5; ++i) CHECK(client->Fetch(Get(Url(closing.port())))->body == "ok");
  CHECK(connections == 5);
}

TEST_CASE("Connections are kept and used again") {
  std::atomic<int> connections{0};
  RawServer keeping([&connections](RawConnection connection) {
    ++connections;
    while (!connection.ReadUntil("\r\n\r\n").empty()) {
      connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  const auto client = NewClient();
  for (int i = 0; i < 20; ++i) CHECK(client->Fetch(Get(Url(keeping.port())))->body == "ok");
  CHECK(connections == 1);
}

TEST_CASE("Redirects are followed up to a bound, or not at all") {
  OurServer server;
  const auto client = NewClient();
  CHECK(client->Fetch(Get(server.url("/redirect")))->body == "GET  ");
  ClientRequest post = Get(server.url("/redirect"));
  post.method = "POST";
  post.body = "x";
  CHECK(client->Fetch(post)->body == "GET  ");
  CHECK(ErrorOf(*client, Get(server.url("/loop"))) == "stopped after 10 redirects");
  ClientConfig config;
  config.follow_redirects = false;
  ClientRequest request = Get(server.url("/redirect"));
  request.config = std::make_shared<const ClientConfig>(config);
  const auto answer = client->Fetch(request);
  REQUIRE(answer.ok());
  CHECK(answer->status == 302);
  CHECK(answer->headers.Get("Location") == "/echo");
}

TEST_CASE("Authorization and headers of the configuration are sent, files read each time") {
  const auto mirror = MirrorServer();
  const auto client = NewClient();
  const auto head_for = [&](const ClientConfig& config) {
    ClientRequest request = Get(Url(mirror->port(), "/metrics"));
    request.headers.Add("User-Agent", "test");
    request.config = std::make_shared<const ClientConfig>(config);
    const auto answer = client->Fetch(request);
    return answer.ok() ? answer->body : std::string(Message(answer.status()));
  };
  CHECK(head_for({}) == StrCat("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:", mirror->port(),
                               "\r\nUser-Agent: test\r\nAccept-Encoding: gzip\r\n\r\n"));
  ClientConfig basic;
  basic.basic_auth_username = "user";
  basic.basic_auth_password = "pass";
  CHECK(head_for(basic).find("Authorization: Basic dXNlcjpwYXNz\r\n") != std::string::npos);
  ClientConfig bearer;
  bearer.authorization_credentials = "secret";
  CHECK(head_for(bearer).find("Authorization: Bearer secret\r\n") != std::string::npos);
  bearer.authorization_type = "Token";
  bearer.headers.Add("X-Tenant", "a");
  CHECK(head_for(bearer).find("Authorization: Token secret\r\n") != std::string::npos);
  CHECK(head_for(bearer).find("X-Tenant: a\r\n") != std::string::npos);

  const std::string path = StrCat("/tmp/narthex_client_test_", getpid());
  ClientConfig file;
  file.authorization_credentials_file = path;
  CHECK(head_for(file).find("unable to read authorization credentials file: ") == 0);
  for (const std::string secret : {"one", "two"}) {
    REQUIRE(io::PosixFileSystem()->WriteFileAtomically(path, secret + "\n").ok());
    CHECK(head_for(file).find(StrCat("Authorization: Bearer ", secret, "\r\n")) !=
          std::string::npos);
  }
  CHECK(io::PosixFileSystem()->Remove(path).ok());
}

TEST_CASE("A redirect to another server does not carry the credentials there") {
  const auto mirror = MirrorServer();
  const auto redirecting = RawServer::Answering(StrCat(
      "HTTP/1.1 302 Found\r\nLocation: ", Url(mirror->port()), "\r\nContent-Length: 0\r\n\r\n"));
  const auto client = NewClient();
  ClientConfig config;
  config.authorization_credentials = "secret";
  ClientRequest request = Get(Url(redirecting->port()));
  request.config = std::make_shared<const ClientConfig>(config);
  const auto answer = client->Fetch(request);
  REQUIRE(answer.ok());
  CHECK(answer->body.find("GET / HTTP/1.1") == 0);
  CHECK(answer->body.find("Authorization") == std::string::npos);
}

TEST_CASE("Many fetches run at once over one thread") {
  OurServer server;
  const auto client = NewClient();
  constexpr int kFetches = 600;
  std::atomic<int> good{0};
  std::atomic<int> done{0};
  StopSignal all;
  for (int i = 0; i < kFetches; ++i) {
    client->FetchAsync(Get(server.url("/large")), [&](absl::StatusOr<ClientResponse> answer) {
      if (answer.ok() && answer->body.size() == 300000) ++good;
      if (++done == kFetches) all.Set();
    });
  }
  CHECK(all.WaitFor(absl::Seconds(60)));
  CHECK(good == kFetches);
}

TEST_CASE("The destructor cancels what is under way, and its callbacks run before it returns") {
  RawServer silent([](RawConnection connection) { connection.WaitForEnd(); });
  std::atomic<int> cancelled{0};
  auto client = NewClient();
  for (int i = 0; i < 10; ++i) {
    client->FetchAsync(Get(Url(silent.port())), [&](absl::StatusOr<ClientResponse> answer) {
      if (absl::IsCancelled(answer.status())) ++cancelled;
    });
  }
  client.reset();
  CHECK(cancelled == 10);
}

TEST_CASE("Unix sockets and proxies are gone through") {
  const auto mirror = MirrorServer();
  const auto client = NewClient();
  ClientConfig config;
  config.proxy_url = Url(mirror->port(), "");
  ClientRequest request = Get("http://example.invalid/metrics");
  request.config = std::make_shared<const ClientConfig>(config);
  auto answer = client->Fetch(request);
  REQUIRE(answer.ok());
  CHECK(answer->body.find("GET http://example.invalid/metrics HTTP/1.1\r\n") == 0);
  config.no_proxy = "example.invalid";
  request.config = std::make_shared<const ClientConfig>(config);
  CHECK(ErrorOf(*client, request) == "dial tcp: lookup example.invalid: no such host");
  ClientConfig unix_config;
  unix_config.unix_socket = "/nonexistent/narthex.sock";
  request.config = std::make_shared<const ClientConfig>(unix_config);
  CHECK(ErrorOf(*client, request) ==
        "dial unix /nonexistent/narthex.sock: connect: no such file or directory");
}

}  // namespace
}  // namespace narthex::http
