#include "lib/http/exchange.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <exception>
#include <utility>

#include "lib/http/compression.h"

namespace narthex::http {
namespace {

constexpr size_t kGzipBytesMin = 1024;
constexpr std::string_view kEventStream = "text/event-stream";
constexpr size_t kStreamPieceBytes = 32 << 10;
// How long a streamed answer waits for a client that takes nothing.
constexpr int kSendTimeoutMs = 30000;
// How often a handler that asks hears of a client that has left.
constexpr std::chrono::milliseconds kLookPause(5);

// Sends all of *out, waiting for a slow client; false when it is gone, takes nothing for too long,
// or `aborted` is set.
bool SendAll(int fd, const std::atomic<bool>& aborted, OutBuffer* out) {
  while (out->SendSome(fd)) {
    if (out->empty()) return true;
    pollfd writable{fd, POLLOUT, 0};
    if (aborted || poll(&writable, 1, kSendTimeoutMs) <= 0) return false;
  }
  return false;
}

bool ClientGone(int fd) {
  pollfd state{fd, POLLRDHUP, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::string HttpDate(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  return std::string(text, std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

// cpp-httplib's view of the connection: reads the head that we made, collects the answer, and sends
// it at once when streaming.
class ExchangeStream : public httplib::Stream {
 public:
  ExchangeStream(std::string head, Exchange* exchange)
      : head_(std::move(head)), exchange_(exchange) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return !exchange_->broken; }
  ssize_t read(char* data, size_t size) override {
    const size_t taken = head_.copy(data, size, position_);
    position_ += taken;
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* data, size_t size) override {
    exchange_->out.bytes.append(data, size);
    if (streaming && !SendAll(exchange_->fd, *exchange_->aborted, &exchange_->out)) {
      exchange_->broken = true;
      return -1;
    }
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return exchange_->fd; }

  bool streaming = false;

 private:
  const std::string head_;
  size_t position_ = 0;
  Exchange* const exchange_;
};

// Gathers the pieces of a streamed body into larger ones, packed where the client asked for that.
class PieceWriter {
 public:
  // `coding` may be "": as it is.
  PieceWriter(std::string_view coding, std::function<bool(std::string_view)> write)
      : write_(std::move(write)), compressor_(Compressor::Create(coding)) {}
  bool Write(std::string_view piece) {
    if (piece.empty()) return Flush();
    if (compressor_ != nullptr) {
      compressor_->Write(piece, false, &pending_);
    } else {
      pending_.append(piece);
    }
    return pending_.size() < kStreamPieceBytes ? good_ : Flush();
  }
  bool Finish() {
    if (compressor_ != nullptr) compressor_->Write("", true, &pending_);
    return Flush();
  }
  size_t bytes() const { return bytes_; }

 private:
  bool Flush() {
    // An empty chunk would end the body.
    if (!pending_.empty()) good_ = good_ && write_(pending_);
    bytes_ += pending_.size();
    pending_.clear();
    return good_;
  }

  const std::function<bool(std::string_view)> write_;
  const std::unique_ptr<Compressor> compressor_;
  std::string pending_;
  size_t bytes_ = 0;
  bool good_ = true;
};

// Undoes the content coding of the body, if it is one we know; others are the handler's.
absl::Status DecodeBody(ServerRequest* request, size_t bytes_max) {
  const auto decompressor = Decompressor::Create(request->headers.Get("Content-Encoding"));
  if (decompressor == nullptr || request->body.empty()) return absl::OkStatus();
  std::string decoded;
  absl::Status status = decompressor->Write(request->body, bytes_max, &decoded);
  if (status.ok()) status = decompressor->Finish();
  request->body = std::move(decoded);
  request->headers.Remove("Content-Encoding");
  return status;
}

void ParseParams(ServerRequest* request) {
  const std::string_view type = request->headers.Get("Content-Type");
  const std::string_view media = TrimSpace(type.substr(0, type.find(';')));
  const bool form_method =
      request->method == "POST" || request->method == "PUT" || request->method == "PATCH";
  bool good = true;
  if (form_method && EqualsIgnoreCaseAscii(media, "application/x-www-form-urlencoded")) {
    good = ParseForm(request->body, &request->params);
  }
  if (!ParseForm(request->raw_query, &request->params)) good = false;
  request->params_malformed = !good;
}

}  // namespace

bool OutBuffer::SendSome(int fd) {
  while (!empty()) {
    const ssize_t result =
        send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (result > 0) {
      sent += static_cast<size_t>(result);
    } else if (errno != EINTR) {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
  }
  bytes.clear();
  sent = 0;
  return true;
}

ServerMetrics::ServerMetrics(metrics::Registry* registry, std::string prefix,
                             std::string route_prefix)
    : registry_(registry), prefix_(std::move(prefix)), route_prefix_(std::move(route_prefix)) {}

void ServerMetrics::Record(const std::string& route, int code, absl::Duration duration,
                           size_t response_bytes) {
  if (registry_ == nullptr) return;
  // Upstream's bounds (Prometheus' web handler).
  static const std::vector<double> kDurationBounds = {.1, .2, .4, 1, 3, 8, 20, 60, 120};
  static const std::vector<double> kSizeBounds = {1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
  metrics::Counter* counter = nullptr;
  metrics::Histogram* durations = nullptr;
  metrics::Histogram* sizes = nullptr;
  {
    MutexLock lock(&mu_);
    auto [found, inserted] = routes_.try_emplace(route);
    std::string handler;
    if (inserted || !found->second.by_code.contains(code)) {
      handler = route.empty()                      ? "unmatched"
                : route.starts_with(route_prefix_) ? route.substr(route_prefix_.size())
                                                   : route;
    }
    if (inserted) {
      found->second.duration = registry_->AddHistogram(
          StrCat(prefix_, "_http_request_duration_seconds"),
          "Histogram of latencies for HTTP requests.", kDurationBounds, {{"handler", handler}});
      found->second.size = registry_->AddHistogram(StrCat(prefix_, "_http_response_size_bytes"),
                                                   "Histogram of response size for HTTP requests.",
                                                   kSizeBounds, {{"handler", handler}});
    }
    metrics::Counter*& by_code = found->second.by_code[code];
    if (by_code == nullptr) {
      by_code = registry_->AddCounter(StrCat(prefix_, "_http_requests_total"),
                                      "Counter of HTTP requests.",
                                      {{"handler", handler}, {"code", StrCat(code)}});
    }
    counter = by_code;
    durations = found->second.duration;
    sizes = found->second.size;
  }
  counter->Increment();
  durations->Observe(absl::ToDoubleSeconds(duration));
  sizes->Observe(static_cast<double>(response_bytes));
}

class Responder::HttplibServer : public httplib::Server {
 public:
  HttplibServer(const Router* router, Logger logger, ServerMetrics* metrics)
      : router_(router), logger_(std::move(logger)), metrics_(metrics) {
    // httplib ends a streamed body early when it believes that it was stopped, which it reads off
    // this number.
    svr_sock_ = 0;
    const auto handler = [this](const httplib::Request&, httplib::Response& response) {
      Handle(&response);
    };
    // A handler with a reader keeps httplib from reading a body by itself.
    const auto reader_handler = [this](const httplib::Request&, httplib::Response& response,
                                       const httplib::ContentReader&) { Handle(&response); };
    Get("/", handler);
    Options("/", handler);
    Post("/", reader_handler);
    Put("/", reader_handler);
    Patch("/", reader_handler);
    Delete("/", reader_handler);
    set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
      response.headers.erase("Keep-Alive");
      response.headers.erase("Accept-Ranges");
      if (response.status == 204 || response.status == 304)
        response.headers.erase("Content-Length");
    });
  }

  void Answer(Exchange* exchange) {
    const auto start = std::chrono::steady_clock::now();
    next_look_ = start + kLookPause;
    exchange_ = exchange;
    response_ = ServerResponse();
    route_.clear();
    response_bytes_ = 0;
    ExchangeStream stream(StrCat(HttplibMethod(), " / HTTP/1.1\r\n\r\n"), exchange);
    stream_ = &stream;
    bool closed = false;
    if (!process_request(stream, exchange->close, closed, nullptr)) exchange->broken = true;
    metrics_->Record(route_, response_.status,
                     absl::FromChrono(std::chrono::steady_clock::now() - start), response_bytes_);
  }

 private:
  // httplib refuses methods that it does not know; the router answers those.
  std::string HttplibMethod() const {
    for (const std::string_view known : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}) {
      if (exchange_->head.method == known) return std::string(known);
    }
    return "OPTIONS";
  }

  void Handle(httplib::Response* response) {
    ServerRequest request;
    response_ = Run(&request);
    route_ = request.route;
    response->status = response_.status;
    if (const std::time_t now = std::time(nullptr); now != date_time_) {
      date_time_ = now;
      date_ = HttpDate(now);
    }
    response->set_header("Date", date_);
    for (const auto& field : response_.headers.fields()) {
      response->set_header(field.first, field.second);
    }
    if (exchange_->head.http_1_0 && !exchange_->close) {
      response->set_header("Connection", "keep-alive");
    }
    if (!response_.content_type.empty() && response_.status != 204 && response_.status != 304) {
      response->set_header("Content-Type", response_.content_type);
    }
    const bool is_stream = response_.stream != nullptr;
    std::string_view coding;
    // Events must not wait for the packer.
    const bool events = response_.content_type == kEventStream;
    if ((is_stream || response_.body.size() > kGzipBytesMin) && !events &&
        !response_.headers.Has("Content-Encoding")) {
      response->set_header("Vary", "Accept-Encoding");
      coding = ChooseCoding(request.headers.Get("Accept-Encoding"));
      if (!coding.empty()) response->set_header("Content-Encoding", std::string(coding));
    }
    if (is_stream && !exchange_->head.http_1_0) {
      response->set_chunked_content_provider(
          "", [this, coding](size_t, httplib::DataSink& sink) { return Stream(coding, &sink); });
      // The provider without a type leaves an empty one behind.
      response->headers.erase("Content-Type");
      response->set_header("Content-Type", response_.content_type);
      return;
    }
    if (is_stream) {
      const bool whole = response_.stream([this](std::string_view piece) {
        response_.body.append(piece);
        return !*exchange_->aborted;
      });
      if (!whole) exchange_->broken = true;
    }
    if (const auto compressor = Compressor::Create(coding); compressor != nullptr) {
      std::string packed;
      compressor->Write(response_.body, true, &packed);
      response_.body = std::move(packed);
    }
    response_bytes_ = response_.body.size();
    response->body = std::move(response_.body);
  }

  // Builds the request and calls the handler; whatever a handler throws ends here.
  ServerResponse Run(ServerRequest* request) {
    RequestHead& head = exchange_->head;
    request->method = std::move(head.method);
    request->raw_path = std::move(head.raw_path);
    request->raw_query = std::move(head.raw_query);
    request->headers = std::move(head.headers);
    request->remote_address = std::move(exchange_->remote_address);
    request->body = std::move(exchange_->body);
    request->cancelled = [this, exchange = exchange_] {
      return *exchange->aborted || IsClientGone(exchange->fd);
    };
    if (!UrlDecode(request->raw_path, false, &request->path)) {
      return ServerResponse::Error(400, "invalid URL escape in the path");
    }
    const absl::Status decoded = DecodeBody(request, exchange_->body_bytes_max);
    if (!decoded.ok()) {
      return absl::IsResourceExhausted(decoded)
                 ? ServerResponse::Error(413, "request body too large")
                 : ServerResponse::Error(400, Message(decoded));
    }
    ParseParams(request);
    try {
      return router_->Dispatch(*request);
    } catch (const std::exception& error) {
      logger_.Error("handler failed", {{"path", request->path}, {"err", error.what()}});
    } catch (...) {
      logger_.Error("handler failed", {{"path", request->path}});
    }
    return ServerResponse::Error(500, "internal error");
  }

  // Asking the kernel costs more than some queries do, so nobody asks more often than
  // kLookPause; and who has gone stays away.
  bool IsClientGone(int fd) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_.load(std::memory_order_relaxed)) return false;
    if (ClientGone(fd)) return true;
    next_look_.store(now + kLookPause, std::memory_order_relaxed);
    return false;
  }

  bool Stream(std::string_view coding, httplib::DataSink* sink) {
    stream_->streaming = true;
    // A client of events wants to know that it is connected, however long the first one takes.
    if (response_.content_type == kEventStream &&
        !SendAll(exchange_->fd, *exchange_->aborted, &exchange_->out)) {
      exchange_->broken = true;
      return false;
    }
    PieceWriter pieces(coding, [this, sink](std::string_view piece) {
      sink->write(piece.data(), piece.size());
      return !exchange_->broken;
    });
    try {
      if (!response_.stream([&pieces](std::string_view piece) { return pieces.Write(piece); })) {
        exchange_->broken = true;
        return false;
      }
    } catch (const std::exception& error) {
      // The head is on its way already, so breaking off is all that can tell the client.
      logger_.Error("streaming handler failed", {{"route", route_}, {"err", error.what()}});
      exchange_->broken = true;
      return false;
    }
    if (!pieces.Finish()) return false;
    response_bytes_ = pieces.bytes();
    sink->done();
    return true;
  }

  const Router* const router_;
  const Logger logger_;
  ServerMetrics* const metrics_;

  std::time_t date_time_ = -1;
  std::string date_;  // date_time_ as headers say it.

  // The request at hand.
  Exchange* exchange_ = nullptr;
  ExchangeStream* stream_ = nullptr;
  ServerResponse response_;
  std::string route_;
  size_t response_bytes_ = 0;
  // When to look again whether the client is there; handlers may ask from several threads.
  std::atomic<std::chrono::steady_clock::time_point> next_look_{};
};

Responder::Responder(const Router* router, Logger logger, ServerMetrics* metrics)
    : server_(std::make_unique<HttplibServer>(router, std::move(logger), metrics)) {}

Responder::~Responder() = default;

void Responder::Answer(Exchange* exchange) { server_->Answer(exchange); }

}  // namespace narthex::http
