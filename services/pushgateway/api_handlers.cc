#include "services/pushgateway/api_handlers.h"

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "lib/service/service.h"

namespace narthex::pushgateway {
namespace {

using http::ServerRequest;
using http::ServerResponse;

// Go's RFC3339Nano: as many decimals as are not zero.
std::string Rfc3339Nano(absl::Time time) {
  std::string text = absl::FormatTime("%Y-%m-%dT%H:%M:%E9S", time, absl::UTCTimeZone());
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text + "Z";
}

template <typename Pairs>
void WriteStrings(const Pairs& pairs, json::Writer* json) {
  json->BeginObject();
  for (const auto& pair : pairs) {
    json->Key(pair.first);
    json->String(pair.second);
  }
  json->EndObject();
}

// The keys of an object are in order, because upstream's are those of a Go map.
void WriteMetric(FamilyType type, const Metric& metric, json::Writer* json) {
  json->BeginObject();
  const bool is_histogram = type == FamilyType::kHistogram;
  const bool is_summary = type == FamilyType::kSummary;
  if (is_histogram) {
    std::map<std::string, std::string> buckets;
    for (const Bucket& bucket : metric.buckets) {
      buckets[FormatFloatG(bucket.upper_bound)] = StrCat(bucket.cumulative_count);
    }
    json->Key("buckets");
    WriteStrings(buckets, json);
  }
  if (is_histogram || is_summary) {
    json->Key("count");
    json->String(StrCat(metric.sample_count.value_or(0)));
  }
  json->Key("labels");
  WriteStrings(metric.labels, json);
  if (is_summary) {
    std::map<std::string, std::string> quantiles;
    for (const Quantile& quantile : metric.quantiles) {
      quantiles[FormatFloatG(quantile.quantile)] = FormatFloatG(quantile.value);
    }
    json->Key("quantiles");
    WriteStrings(quantiles, json);
  }
  const bool has_sum = is_histogram || is_summary;
  json->Key(has_sum ? "sum" : "value");
  json->String(FormatFloatG(has_sum ? metric.sample_sum.value_or(0) : metric.value));
  json->EndObject();
}

std::string FamilyJson(const StoredFamily& stored) {
  std::string out;
  json::Writer json(&out);
  json.BeginObject();
  json.Key("time_stamp");
  json.String(Rfc3339Nano(stored.pushed));
  json.Key("type");
  json.String(FamilyTypeUpperName(stored.family->type));
  if (!stored.family->help.empty()) {
    json.Key("help");
    json.String(stored.family->help);
  }
  json.Key("metrics");
  json.BeginArray();
  for (const Metric& metric : stored.family->metrics) {
    WriteMetric(stored.family->type, metric, &json);
  }
  json.EndArray();
  json.EndObject();
  return out;
}

std::string GroupJson(const Group& group) {
  std::map<std::string, std::string> members;
  json::Writer labels(&members["labels"]);
  WriteStrings(group.key, &labels);
  members["last_push_successful"] = group.LastPushSuccessful() ? "true" : "false";
  for (const auto& entry : group.families) members[entry.first] = FamilyJson(entry.second);
  std::string out;
  json::Writer json(&out);
  json.BeginObject();
  for (const auto& member : members) {
    json.Key(member.first);
    json.Raw(member.second);
  }
  json.EndObject();
  return out;
}

std::string StatusJson(const ApiOptions& options) {
  std::string out;
  json::Writer json(&out);
  json.BeginObject();
  json.Key("status");
  json.String("success");
  json.Key("data");
  json.BeginObject();
  json.Key("build_information");
  WriteStrings(std::map<std::string, std::string>{{"revision", std::string(service::Revision())},
                                                  {"version", std::string(service::Version())}},
               &json);
  json.Key("flags");
  WriteStrings(options.flags, &json);
  json.Key("start_time");
  json.String(Rfc3339Nano(options.start_time));
  json.EndObject();
  json.EndObject();
  return out + "\n";
}

// Every origin may read, nothing may be cached: upstream's API says so on each answer.
ServerResponse WithApiHeaders(ServerResponse response) {
  response.headers.Set("Access-Control-Allow-Headers",
                       "Accept, Authorization, Content-Type, Origin");
  response.headers.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  response.headers.Set("Access-Control-Allow-Origin", "*");
  response.headers.Set("Access-Control-Expose-Headers", "Date");
  response.headers.Set("Cache-Control", "no-cache, no-store, must-revalidate");
  return response;
}

}  // namespace

std::string MetricsJson(const std::vector<Group>& groups) {
  std::string out;
  json::Writer json(&out);
  json.BeginObject();
  json.Key("status");
  json.String("success");
  json.Key("data");
  json.BeginArray();
  for (const Group& group : groups) json.Raw(GroupJson(group));
  json.EndArray();
  json.EndObject();
  return out + "\n";
}

void AddApiHandlers(http::Router* router, const ApiOptions& options, MetricStore* store) {
  const std::string api = StrCat(options.prefix, "/api/v1");
  router->Handle("GET", StrCat(api, "/status"), [options](const ServerRequest&) {
    return WithApiHeaders(ServerResponse::Json(200, StatusJson(options)));
  });
  router->Handle("GET", StrCat(api, "/metrics"), [store](const ServerRequest&) {
    return WithApiHeaders(ServerResponse::Json(200, MetricsJson(store->Groups())));
  });
  for (const std::string_view path : {"/status", "/metrics"}) {
    router->Handle("OPTIONS", StrCat(api, path), [](const ServerRequest&) {
      ServerResponse response;
      response.content_type.clear();
      return WithApiHeaders(response);
    });
  }
  if (!options.enable_admin) return;
  router->Handle("PUT", StrCat(api, "/admin/wipe"), [store](const ServerRequest&) {
    store->Wipe();
    ServerResponse response;
    response.status = 202;
    response.content_type.clear();
    return response;
  });
}

}  // namespace narthex::pushgateway
