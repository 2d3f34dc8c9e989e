#include "lib/http/server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/http/compression.h"
#include "tests/support/raw_socket.h"

namespace narthex::http {
namespace {

using testing::RawConnection;

// A server with the routes that the cases below use.
struct Fixture {
  explicit Fixture(ServerOptions options = {}) {
    router.Handle("GET", "/hello",
                  [](const ServerRequest&) { return ServerResponse::Text(200, "hello"); });
    router.Handle("GET,POST,PUT,DELETE", "/echo", [](const ServerRequest& request) {
      std::string text = StrCat(request.method, " ", request.path, " ", request.body.size());
      for (const auto& pair : request.params.pairs()) {
        StrAppend(&text, " ", pair.first, "=", pair.second.size());
      }
      return ServerResponse::Text(200, text);
    });
    router.Handle(
        "POST", "/small",
        [](const ServerRequest& request) { return ServerResponse::Text(200, request.body); }, 10);
    router.Handle("GET", "/large", [](const ServerRequest&) {
      return ServerResponse::Text(200, std::string(5000000, 'x'));
    });
    router.Handle("GET", "/throw", [](const ServerRequest&) -> ServerResponse {
      throw std::runtime_error("on purpose");
    });
    router.Handle("GET", "/throw_int", [](const ServerRequest&) -> ServerResponse { throw 1; });
    router.Handle("GET", "/empty",
                  [](const ServerRequest&) { return ServerResponse::Text(204, ""); });
    router.Handle("GET", "/stream", [](const ServerRequest&) {
      ServerResponse response;
      response.stream = [](const BodySink& sink) {
        for (int i = 0; i < 10000; ++i) {
          if (!sink(StrCat("line ", i, "\n"))) return false;
        }
        return true;
      };
      return response;
    });
    router.Handle("GET", "/stream_throw", [](const ServerRequest&) {
      ServerResponse response;
      response.stream = [](const BodySink& sink) -> bool {
        sink(std::string(100000, 'x'));
        throw std::runtime_error("half way");
      };
      return response;
    });
    router.Handle("GET", "/stream_break", [](const ServerRequest&) {
      ServerResponse response;
      response.stream = [](const BodySink& sink) {
        sink(std::string(100000, 'x'));
        return false;
      };
      return response;
    });
    router.Handle("GET", "/endless", [this](const ServerRequest&) {
      ServerResponse response;
      response.stream = [this](const BodySink& sink) {
        while (sink(std::string(1000, 'x'))) {
        }
        ++ended;
        return true;
      };
      return response;
    });
    router.Handle("GET", "/wait", [this](const ServerRequest& request) {
      ++waiting;
      StopSignal never;
      while (!request.cancelled() && !release) never.WaitFor(absl::Milliseconds(2));
      ++ended;
      return ServerResponse::Text(release ? 200 : 499, "done");
    });
    auto created = Server::Create(options, &router, Logger(), &registry);
    REQUIRE(created.ok());
    server = std::move(created).value();
    server->Start();
  }

  std::string Ask(std::string_view request) {
    RawConnection connection = RawConnection::Connect(server->port());
    REQUIRE(connection.connected());
    connection.Send(request);
    return connection.ReadAnswer();
  }
  std::string Get(std::string_view path, std::string_view headers = "") {
    return Ask(StrCat("GET ", path, " HTTP/1.1\r\nHost: x\r\n", headers, "\r\n"));
  }
  // The value of a counter of the server, or of the count of a histogram.
  double Metric(std::string_view name,
                const std::vector<std::pair<std::string, std::string>>& labels) {
    for (const auto& family : registry.Collect()) {
      for (const auto& sample : family.samples) {
        if (sample.name == name && sample.labels == labels) return sample.value;
      }
    }
    return -1;
  }

  metrics::Registry registry;
  Router router;
  std::atomic<int> waiting{0};
  std::atomic<int> ended{0};
  std::atomic<bool> release{false};
  std::unique_ptr<Server> server;
};

bool WaitFor(const std::function<bool()>& condition) {
  StopSignal never;
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    never.WaitFor(absl::Milliseconds(2));
  }
  return false;
}

std::string StatusLine(const std::string& answer) { return answer.substr(0, answer.find('\r')); }
std::string BodyOf(const std::string& answer) {
  const size_t at = answer.find("\r\n\r\n");
  return at == std::string::npos ? "" : answer.substr(at + 4);
}

// Joins the chunks of an answer; "broken" when they are not complete.
std::string Unchunk(std::string body) {
  std::string out;
  while (true) {
    const size_t end = body.find("\r\n");
    if (end == std::string::npos) return "broken";
    const size_t size = std::stoul(body.substr(0, end), nullptr, 16);
    if (size == 0) return body.substr(end) == "\r\n\r\n" ? out : "broken";
    out += body.substr(end + 2, size);
    body.erase(0, end + 2 + size + 2);
  }
}

TEST_CASE("A GET is answered with its length, type and date") {
  Fixture fixture;
  const std::string answer = fixture.Get("/hello");
  CHECK(StatusLine(answer) == "HTTP/1.1 200 OK");
  CHECK(answer.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(answer.find("Content-Type: text/plain; charset=utf-8\r\n") != std::string::npos);
  CHECK(answer.find(" GMT\r\n") != std::string::npos);
  CHECK(answer.find("Keep-Alive") == std::string::npos);
  CHECK(BodyOf(answer) == "hello");
}

TEST_CASE("A connection serves many requests") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  for (int i = 0; i < 50; ++i) {
    connection.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(BodyOf(connection.ReadAnswer()) == "hello");
  }
  connection.Send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string last = connection.ReadAnswer();
  CHECK(last.find("Connection: close\r\n") != std::string::npos);
  CHECK(connection.WaitForEnd());
}

TEST_CASE("HTTP/1.0 closes unless it asks for more") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(connection.ReadAnswer().find("Connection: keep-alive\r\n") != std::string::npos);
  connection.Send("GET /stream HTTP/1.0\r\n\r\n");
  const std::string answer = connection.ReadToEnd();
  CHECK(answer.find("chunked") == std::string::npos);
  CHECK(BodyOf(answer).substr(0, 14) == "line 0\nline 1\n");
}

TEST_CASE("Pipelined requests are answered in order") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  std::string requests;
  for (int i = 0; i < 20; ++i) {
    const std::string body(i, 'b');
    requests += StrCat("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ", i, "\r\n\r\n", body);
  }
  connection.Send(requests);
  for (int i = 0; i < 20; ++i) CHECK(BodyOf(connection.ReadAnswer()) == StrCat("POST /echo ", i));
}

TEST_CASE("HEAD has the head of GET and no body") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send(
      "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"
      "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = connection.ReadToEnd();
  CHECK(all.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(all.find("hello") == std::string::npos);
  CHECK(all.find("line 1") == std::string::npos);
  CHECK(all.find("GET /echo 0") != std::string::npos);
}

TEST_CASE("Wrong paths, methods and escapes have their statuses") {
  Fixture fixture;
  CHECK(StatusLine(fixture.Get("/nothing")) == "HTTP/1.1 404 Not Found");
  CHECK(StatusLine(fixture.Get("/%zz")) == "HTTP/1.1 400 Bad Request");
  const std::string refused = fixture.Ask("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(StatusLine(refused) == "HTTP/1.1 405 Method Not Allowed");
  CHECK(refused.find("Allow: GET, HEAD, OPTIONS\r\n") != std::string::npos);
  CHECK(StatusLine(fixture.Ask("BREW /hello HTTP/1.1\r\nHost: x\r\n\r\n")) ==
        "HTTP/1.1 405 Method Not Allowed");
  CHECK(StatusLine(fixture.Ask("OPTIONS /hello HTTP/1.1\r\nHost: x\r\n\r\n")) == "HTTP/1.1 200 OK");
}

TEST_CASE("204 has neither type nor length") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send("GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = connection.ReadToEnd();
  CHECK(StatusLine(answer) == "HTTP/1.1 204 No Content");
  CHECK(answer.find("Content-") == std::string::npos);
}

TEST_CASE("A handler that throws is a 500 and the server goes on") {
  Fixture fixture;
  CHECK(StatusLine(fixture.Get("/throw")) == "HTTP/1.1 500 Internal Server Error");
  CHECK(StatusLine(fixture.Get("/throw_int")) == "HTTP/1.1 500 Internal Server Error");
  CHECK(BodyOf(fixture.Get("/hello")) == "hello");
}

TEST_CASE("Requests that could be read in two ways are refused and the connection closed") {
  Fixture fixture;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
       "0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
       "HTTP/1.1 400 Bad Request"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
       "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
       "HTTP/1.1 400 Bad Request"},
      {StrCat("GET /", std::string(100000, 'a'), " HTTP/1.1\r\nHost: x\r\n\r\n"),
       "HTTP/1.1 414 URI Too Long"},
      {StrCat("GET / HTTP/1.1\r\nHost: x\r\nA: ", std::string(200000, 'a'), "\r\n\r\n"),
       "HTTP/1.1 431 Request Header Fields Too Large"},
      {StrCat("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n",
              std::string(500000, 'a')),
       "HTTP/1.1 413 Payload Too Large"},
      {"\x16\x03\x01\x02\n\n", "HTTP/1.1 400 Bad Request"},
  };
  for (const auto& test : cases) {
    INFO(test.second);
    RawConnection connection = RawConnection::Connect(fixture.server->port());
    connection.Send(test.first);
    connection.CloseSending();
    const std::string answer = connection.ReadToEnd();
    CHECK(StatusLine(answer) == test.second);
    CHECK(answer.find("hello") == std::string::npos);
  }
  CHECK(fixture.Metric("narthex_http_requests_total",
                       {{"code", "413"}, {"handler", "unmatched"}}) == 1);
}

TEST_CASE("A GET with a body does not smuggle it into the next request") {
  Fixture fixture;
  const std::string inner = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send(StrCat("GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: ", inner.size(),
                         "\r\n\r\n", inner,
                         "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string all = connection.ReadToEnd();
  CHECK(all.find("/echo") == std::string::npos);
  CHECK(all.find("hello", all.find("hello") + 1) != std::string::npos);
}

TEST_CASE("Forms of 200 kB arrive, before the parameters of the URL") {
  Fixture fixture;
  const std::string form = StrCat("query=", std::string(200000, 'q'), "&step=15");
  const std::string answer = fixture.Ask(
      StrCat("POST /echo?step=9&last=ab HTTP/1.1\r\nHost: x\r\n"
             "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: ",
             form.size(), "\r\n\r\n", form));
  CHECK(BodyOf(answer) == StrCat("POST /echo ", form.size(), " query=200000 step=2 step=1 last=2"));
}

TEST_CASE("A body without a length is empty, chunks are joined, gzip is unpacked") {
  Fixture fixture;
  CHECK(BodyOf(fixture.Ask("POST /echo HTTP/1.1\r\nHost: x\r\n\r\n")) == "POST /echo 0");
  CHECK(BodyOf(fixture.Ask("PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) == "PUT /echo 5");
  const std::string packed = GzipCompress(std::string(3000, 'z'));
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n";
  CHECK(BodyOf(fixture.Ask(StrCat(head, "Content-Length: ", packed.size(), "\r\n\r\n", packed))) ==
        "POST /echo 3000");
  CHECK(StatusLine(fixture.Ask(StrCat(head, "Content-Length: 7\r\n\r\nno gzip"))) ==
        "HTTP/1.1 400 Bad Request");
  const std::string bomb = GzipCompress(std::string(11, 'z'));
  CHECK(StatusLine(fixture.Ask(
            StrCat("POST /small HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ",
                   bomb.size(), "\r\n\r\n", bomb))) == "HTTP/1.1 413 Payload Too Large");
}

TEST_CASE("Expect: 100-continue is told to go on, or refused before the body is sent") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send(
      "POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  CHECK(connection.ReadUntil("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  connection.Send("body");
  CHECK(BodyOf(connection.ReadAnswer()) == "body");
  connection.Send(
      "POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 400\r\n\r\n");
  CHECK(StatusLine(connection.ReadAnswer()) == "HTTP/1.1 413 Payload Too Large");
  CHECK(connection.WaitForEnd());
}

TEST_CASE("Answers over 1 KiB are packed where the client asks") {
  Fixture fixture;
  const std::string plain = fixture.Get("/large");
  CHECK(plain.find("Content-Encoding") == std::string::npos);
  CHECK(plain.find("Vary: Accept-Encoding\r\n") != std::string::npos);
  CHECK(BodyOf(plain).size() == 5000000);
  const std::string packed = fixture.Get("/large", "Accept-Encoding: gzip, deflate\r\n");
  CHECK(packed.find("Content-Encoding: gzip\r\n") != std::string::npos);
  std::string unpacked;
  const auto decompressor = Decompressor::Create("gzip");
  CHECK(decompressor->Write(BodyOf(packed), 0, &unpacked).ok());
  CHECK(decompressor->Finish().ok());
  CHECK(unpacked == BodyOf(plain));
  CHECK(fixture.Get("/hello", "Accept-Encoding: gzip\r\n").find("Vary") == std::string::npos);
}

TEST_CASE("Streams are chunked, packed where asked, and keep the connection") {
  Fixture fixture;
  std::string expected;
  for (int i = 0; i < 10000; ++i) StrAppend(&expected, "line ", i, "\n");
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = connection.ReadUntil("\r\n\r\n");
  CHECK(head.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(head.find("Content-Type: text/plain; charset=utf-8\r\n") != std::string::npos);
  CHECK(Unchunk(connection.ReadUntil("\r\n0\r\n\r\n")) == expected);
  connection.Send(
      "GET /stream HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
  std::string unpacked;
  const auto decompressor = Decompressor::Create("gzip");
  CHECK(decompressor->Write(Unchunk(BodyOf(connection.ReadToEnd())), 0, &unpacked).ok());
  CHECK(unpacked == expected);
}

TEST_CASE("A stream that fails half way is visibly incomplete") {
  Fixture fixture;
  RawConnection connection = RawConnection::Connect(fixture.server->port());
  connection.Send("GET /stream_throw HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(Unchunk(BodyOf(connection.ReadToEnd())) == "broken");
  RawConnection breaks = RawConnection::Connect(fixture.server->port());
  breaks.Send("GET /stream_break HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(Unchunk(BodyOf(breaks.ReadToEnd())) == "broken");
  CHECK(BodyOf(fixture.Get("/hello")) == "hello");
}

TEST_CASE("A client that leaves cancels its request and ends its stream") {
  Fixture fixture;
  {
    RawConnection connection = RawConnection::Connect(fixture.server->port());
    connection.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(WaitFor([&] { return fixture.waiting == 1; }));
  }
  CHECK(WaitFor([&] { return fixture.ended == 1; }));
  {
    RawConnection connection = RawConnection::Connect(fixture.server->port());
    connection.Send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.ReadUntil("xxx");
  }
  CHECK(WaitFor([&] { return fixture.ended == 2; }));
}

TEST_CASE("A request that waits behind busy workers is served when one is free") {
  ServerOptions options;
  options.workers = 2;
  Fixture fixture(options);
  std::vector<RawConnection> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(RawConnection::Connect(fixture.server->port()));
    waiting.back().Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  REQUIRE(WaitFor([&] { return fixture.waiting == 2; }));
  RawConnection third = RawConnection::Connect(fixture.server->port());
  third.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  waiting[0].Close();
  CHECK(BodyOf(third.ReadAnswer()) == "hello");
}

TEST_CASE("Late heads, late bodies and idle connections are closed") {
  ServerOptions options;
  options.head_timeout = absl::Milliseconds(50);
  options.body_timeout = absl::Milliseconds(50);
  options.idle_timeout = absl::Milliseconds(50);
  Fixture fixture(options);
  for (const std::string_view sent :
       {"", "GET /hel", "\r\n", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"}) {
    INFO(sent);
    RawConnection connection = RawConnection::Connect(fixture.server->port());
    connection.Send(sent);
    CHECK(connection.WaitForEnd());
  }
  RawConnection used = RawConnection::Connect(fixture.server->port());
  used.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(BodyOf(used.ReadAnswer()) == "hello");
  CHECK(used.WaitForEnd());
}

TEST_CASE("At the cap the oldest idle connection makes room, and busy ones do not") {
  ServerOptions options;
  options.connections_max = 2;
  Fixture fixture(options);
  RawConnection busy = RawConnection::Connect(fixture.server->port());
  busy.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(WaitFor([&] { return fixture.waiting == 1; }));
  RawConnection idle = RawConnection::Connect(fixture.server->port());
  idle.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(BodyOf(idle.ReadAnswer()) == "hello");
  CHECK(BodyOf(fixture.Get("/hello")) == "hello");
  CHECK(idle.WaitForEnd());
  fixture.release = true;
  CHECK(BodyOf(busy.ReadAnswer()) == "done");
}

TEST_CASE("When descriptors run out the oldest idle connection makes room") {
  Fixture fixture;
  RawConnection idle = RawConnection::Connect(fixture.server->port());
  idle.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(BodyOf(idle.ReadAnswer()) == "hello");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  // The client's end takes the last descriptor that is allowed.
  const int next = dup(0);
  close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  {
    RawConnection other = RawConnection::Connect(fixture.server->port());
    CHECK(other.connected());
    other.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(BodyOf(other.ReadAnswer()) == "hello");
  }
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(idle.WaitForEnd());
}

TEST_CASE("Stop lets a running request finish within the grace") {
  Fixture fixture;
  RawConnection idle = RawConnection::Connect(fixture.server->port());
  RawConnection busy = RawConnection::Connect(fixture.server->port());
  busy.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(WaitFor([&] { return fixture.waiting == 1; }));
  Thread stopping("stop", [&] { fixture.server->Stop(absl::Seconds(10)); });
  CHECK(idle.WaitForEnd());
  CHECK(fixture.ended == 0);
  fixture.release = true;
  CHECK(BodyOf(busy.ReadAnswer()) == "done");
  stopping.Join();
  CHECK_FALSE(RawConnection::Connect(fixture.server->port()).connected());
}

TEST_CASE("Stop cancels what runs longer than the grace") {
  Fixture fixture;
  RawConnection busy = RawConnection::Connect(fixture.server->port());
  busy.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  RawConnection endless = RawConnection::Connect(fixture.server->port());
  endless.Send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(WaitFor([&] { return fixture.waiting == 1; }));
  fixture.server->Stop(absl::Milliseconds(30));
  CHECK(fixture.ended >= 1);
}

TEST_CASE("A taken port, a bad address and a port without host are told apart") {
  Router router;
  const auto create = [&router](std::string address) {
    ServerOptions options;
    options.listen_address = std::move(address);
    return Server::Create(options, &router, Logger(), nullptr);
  };
  const auto first = create("127.0.0.1:0");
  REQUIRE(first.ok());
  const std::string taken = StrCat("127.0.0.1:", (*first)->port());
  CHECK(Message(create(taken).status()) == StrCat("listen on ", taken, ": address already in use"));
  CHECK(Message(create("9090").status()) == "listen on 9090: missing port in address");
  CHECK(Message(create("::1:9090").status()) == "listen on ::1:9090: too many colons in address");
  CHECK(Message(create("127.0.0.1:x").status()) == "listen on 127.0.0.1:x: invalid port \"x\"");
  CHECK(Message(create("192.0.2.1:1").status()).find("listen on 192.0.2.1:1: cannot assign") == 0);
  const auto all = create(":0");
  REQUIRE(all.ok());
  (*all)->Start();
  RawConnection connection = RawConnection::Connect((*all)->port());
  connection.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(StatusLine(connection.ReadAnswer()) == "HTTP/1.1 404 Not Found");
}

TEST_CASE("Requests are counted by route and code") {
  Fixture fixture;
  fixture.Get("/hello");
  fixture.Get("/hello");
  fixture.Get("/nothing");
  CHECK(WaitFor([&] {
    return fixture.Metric("narthex_http_requests_total",
                          {{"code", "200"}, {"handler", "/hello"}}) == 2 &&
           fixture.Metric("narthex_http_requests_total",
                          {{"code", "404"}, {"handler", "unmatched"}}) == 1;
  }));
  CHECK(fixture.Metric("narthex_http_request_duration_seconds_count", {{"handler", "/hello"}}) ==
        2);
  CHECK(fixture.Metric("narthex_http_response_size_bytes_sum", {{"handler", "/hello"}}) == 10);
}

}  // namespace
}  // namespace narthex::http
