#ifndef NARTHEX_LIB_HTTP_MESSAGE_H_
#define NARTHEX_LIB_HTTP_MESSAGE_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex::http {

// Header fields in order; names compare without case.
class Headers {
 public:
  void Add(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
  void Set(std::string_view name, std::string_view value);  // Replaces all of that name.
  void Remove(std::string_view name);
  std::string_view Get(std::string_view name) const;  // The first, or "".
  bool Has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }
  friend bool operator==(const Headers&, const Headers&) = default;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Decoded query or form parameters in order of appearance.
class Params {
 public:
  void Add(std::string_view name, std::string_view value) { pairs_.emplace_back(name, value); }
  std::string_view Get(std::string_view name) const;  // The first, or "".
  bool Has(std::string_view name) const;
  std::vector<std::string> All(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// A request as a handler of the server sees it: complete, its body read.
struct ServerRequest {
  std::string method;    // GET POST PUT DELETE HEAD OPTIONS
  std::string raw_path;  // As sent, still escaped, without the query.
  std::string path;      // Unescaped.
  std::string raw_query;
  Params params;  // Form body first (POST, PUT application/x-www-form-urlencoded), then the URL's
                  // query.
  bool params_malformed =
      false;          // A pair of the form or the query was dropped: bad escape or a ';'.
  std::string route;  // Pattern of the route that took the request; "" when none did.
  std::vector<std::pair<std::string, std::string>>
      path_params;  // From the route pattern, unescaped: "/label/:name/values".
  Headers headers;
  std::string body;
  std::string remote_address;       // "127.0.0.1:40000"
  std::function<bool()> cancelled;  // True once the client has gone. Never empty.
  std::string_view PathParam(std::string_view name) const;
};

// A writer of a streamed body; false when the client has gone.
using BodySink = std::function<bool(std::string_view)>;

struct ServerResponse {
  int status = 200;
  Headers headers;  // Content-Length, Transfer-Encoding and Connection are the server's.
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  // When set, `body` is ignored and the answer is chunked: called once on the worker's thread.
  // False breaks the connection off, which is all that can tell a client of an error by then.
  std::function<bool(const BodySink&)> stream;

  static ServerResponse Text(int status, std::string_view text);
  static ServerResponse Json(int status, std::string json);
  // As Go's http.Error: the text and a line break, not to be sniffed.
  static ServerResponse Error(int status, std::string_view text);
};

using Handler = std::function<ServerResponse(const ServerRequest&)>;

// application/x-www-form-urlencoded (and URL queries), decoded as Go's url.ParseQuery: '+' is a
// space; false on a bad escape or a ';' separator, with the good pairs added.
bool ParseForm(std::string_view encoded, Params* params);
std::string UrlEncodeQuery(std::string_view text);    // Go's url.QueryEscape.
std::string UrlEncodePath(std::string_view segment);  // Go's url.PathEscape.
bool UrlDecode(std::string_view text, bool plus_is_space, std::string* out);

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_MESSAGE_H_
