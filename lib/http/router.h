#ifndef NARTHEX_LIB_HTTP_ROUTER_H_
#define NARTHEX_LIB_HTTP_ROUTER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/http/message.h"

namespace narthex::http {

// Finds the handler of a request. A pattern is a path of segments; ":name" takes one segment,
// "*name" at the end takes the rest (with its slashes). Literal segments win over ":name", that
// over "*name". Filled before the server starts, then read only.
class Router {
 public:
  // `methods` like "GET" or "GET,POST". GET also answers HEAD. `body_bytes_max` bounds the body.
  void Handle(std::string_view methods, std::string_view pattern, Handler handler,
              size_t body_bytes_max = size_t{32} << 20);
  // 301 to the cleaned path when it has empty, "." or ".." segments (as Go's servers do); 404 or
  // 405 (with Allow) when there is no such route; OPTIONS of a path that has routes is 200 with
  // Allow.
  ServerResponse Dispatch(ServerRequest& request) const;
  // The body bound of the route, or 0 when there is none.
  size_t BodyBytesMax(std::string_view method, std::string_view raw_path) const;

 private:
  struct Route {
    std::vector<std::string> methods;
    std::string pattern;
    std::vector<std::string> segments;
    Handler handler;
    size_t body_bytes_max;
  };
  const Route* Find(std::string_view method, std::string_view raw_path,
                    std::vector<std::pair<std::string, std::string>>* path_params,
                    std::string* allow) const;
  std::vector<Route> routes_;
  // The routes without parameters, by method, a blank, and path: most requests ask for one, and
  // nothing binds stronger.
  absl::flat_hash_map<std::string, size_t> literal_routes_;
};

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_ROUTER_H_
