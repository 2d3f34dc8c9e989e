#include "lib/http/router.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::http {
namespace {

using PathParams = std::vector<std::pair<std::string, std::string>>;

// "/a/b" has the segments "a" and "b", "/a/" has "a" and "".
std::vector<std::string> Segments(std::string_view path) {
  NARTHEX_CHECK(!path.empty() && path[0] == '/');
  std::vector<std::string> segments;
  for (const std::string_view segment : Split(path.substr(1), '/')) segments.emplace_back(segment);
  return segments;
}

// How strongly a pattern segment binds; the smallest at the first difference wins.
int Rank(const std::string& segment) {
  if (!segment.empty() && segment[0] == ':') return 1;
  if (!segment.empty() && segment[0] == '*') return 2;
  return 0;
}

bool BindsStronger(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (Rank(a[i]) != Rank(b[i])) return Rank(a[i]) < Rank(b[i]);
  }
  return a.size() > b.size();
}

bool Matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
             PathParams* params) {
  params->clear();
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string& segment = pattern[i];
    const int rank = Rank(segment);
    if (rank == 2) {
      std::string rest;
      for (size_t j = i; j < path.size(); ++j) StrAppend(&rest, j > i ? "/" : "", path[j]);
      params->emplace_back(segment.substr(1), std::move(rest));
      return path.size() > i;
    }
    if (i >= path.size()) return false;
    if (rank == 1) {
      if (path[i].empty()) return false;
      params->emplace_back(segment.substr(1), path[i]);
    } else if (segment != path[i]) {
      return false;
    }
  }
  return pattern.size() == path.size();
}

// A path without empty, "." and ".." segments, as Go's ServeMux cleans it; a slash at the end
// stays.
std::string CleanPath(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view segment : Split(path.substr(1), '/')) {
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  std::string clean;
  for (const std::string_view segment : kept) StrAppend(&clean, "/", segment);
  if (path.ends_with('/') || clean.empty()) clean.push_back('/');
  return clean;
}

ServerResponse RedirectTo(std::string_view path, const ServerRequest& request) {
  ServerResponse response = ServerResponse::Text(301, "");
  response.content_type.clear();
  std::string location;
  for (const std::string_view segment : Split(path.substr(1), '/')) {
    StrAppend(&location, "/", UrlEncodePath(segment));
  }
  if (!request.raw_query.empty()) StrAppend(&location, "?", request.raw_query);
  response.headers.Set("Location", location);
  return response;
}

void AddMethod(const std::string& method, std::vector<std::string>* methods) {
  if (std::find(methods->begin(), methods->end(), method) == methods->end()) {
    methods->push_back(method);
  }
}

}  // namespace

void Router::Handle(std::string_view methods, std::string_view pattern, Handler handler,
                    size_t body_bytes_max) {
  NARTHEX_CHECK(handler != nullptr);
  Route route;
  for (const std::string_view method : Split(methods, ',')) {
    AddMethod(std::string(method), &route.methods);
    if (method == "GET") AddMethod("HEAD", &route.methods);
  }
  route.pattern = std::string(pattern);
  route.segments = Segments(pattern);
  route.handler = std::move(handler);
  route.body_bytes_max = body_bytes_max;
  const bool literal = std::all_of(route.segments.begin(), route.segments.end(),
                                   [](const std::string& segment) { return Rank(segment) == 0; });
  if (literal) {
    for (const std::string& method : route.methods) {
      literal_routes_.try_emplace(StrCat(method, " ", pattern), routes_.size());
    }
  }
  routes_.push_back(std::move(route));
}

const Router::Route* Router::Find(std::string_view method, std::string_view raw_path,
                                  PathParams* path_params, std::string* allow) const {
  if (raw_path.empty() || raw_path[0] != '/') return nullptr;
  if (const auto found = literal_routes_.find(StrCat(method, " ", raw_path));
      found != literal_routes_.end()) {
    path_params->clear();
    return &routes_[found->second];
  }
  std::vector<std::string> path = Segments(raw_path);
  std::string decoded;
  for (std::string& segment : path) {
    if (!UrlDecode(segment, false, &decoded)) return nullptr;
    segment = decoded;
  }
  const Route* best = nullptr;
  std::vector<std::string> allowed;
  PathParams params;
  for (const Route& route : routes_) {
    if (!Matches(route.segments, path, &params)) continue;
    if (std::find(route.methods.begin(), route.methods.end(), method) == route.methods.end()) {
      for (const std::string& other : route.methods) AddMethod(other, &allowed);
      continue;
    }
    if (best == nullptr || BindsStronger(route.segments, best->segments)) {
      best = &route;
      *path_params = params;
    }
  }
  if (best == nullptr && !allowed.empty()) {
    AddMethod("OPTIONS", &allowed);
    std::sort(allowed.begin(), allowed.end());
    *allow = Join(allowed, ", ");
  }
  return best;
}

ServerResponse Router::Dispatch(ServerRequest& request) const {
  if (request.path.starts_with('/')) {
    const std::string clean = CleanPath(request.path);
    if (clean != request.path) return RedirectTo(clean, request);
  }
  std::string allow;
  const Route* route = Find(request.method, request.raw_path, &request.path_params, &allow);
  if (route != nullptr) {
    request.route = route->pattern;
    return route->handler(request);
  }
  if (allow.empty()) return ServerResponse::Error(404, "404 page not found");
  ServerResponse response = request.method == "OPTIONS"
                                ? ServerResponse::Text(200, "")
                                : ServerResponse::Error(405, "Method Not Allowed");
  if (response.body.empty()) response.content_type.clear();
  response.headers.Set("Allow", allow);
  return response;
}

size_t Router::BodyBytesMax(std::string_view method, std::string_view raw_path) const {
  PathParams params;
  std::string allow;
  const Route* route = Find(method, raw_path, &params, &allow);
  return route == nullptr ? 0 : route->body_bytes_max;
}

}  // namespace narthex::http
