#ifndef NARTHEX_SERVICES_QUERY_PROMQL_ANNOTATIONS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_ANNOTATIONS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/model/timestamp.h"
#include "services/query/promql/ast.h"

namespace narthex::promql {

// The warnings and infos that an evaluation gathers, each once. The texts begin with "PromQL
// warning: " or "PromQL info: "; with the query at hand they end with the place, " (line:col)".
// Thread safety: none.
class Annotations {
 public:
  void Warn(std::string_view message, PositionRange position);
  void Inform(std::string_view message, PositionRange position);
  // An answer of storage: without prefix and place.
  void AddStorageWarning(std::string_view message);
  // Bucket counts went down from one bound to the next and were repaired; several of one metric
  // become one line.
  void InformForcedMonotonicity(std::string_view metric_name, PositionRange position,
                                Timestamp time, double bound_min, double bound_max,
                                double difference_max);

  // `query` empty: without places.
  std::vector<std::string> Warnings(std::string_view query) const;
  std::vector<std::string> Infos(std::string_view query) const;

 private:
  struct Entry {
    std::string text;
    bool warning = false;
    bool has_position = true;
    int position = 0;
    // Of InformForcedMonotonicity.
    size_t repairs = 0;
    Timestamp time_min = 0;
    Timestamp time_max = 0;
    double bound_min = 0;
    double bound_max = 0;
    double difference_max = 0;
  };
  Entry* Add(bool warning, std::string_view message, int position);
  std::vector<std::string> Render(bool warning, std::string_view query) const;

  std::vector<Entry> entries_;
  absl::flat_hash_map<std::string, size_t> index_;
};

// The first `limit` of `lines`, and after them how many were left out: "3 more warning annotations
// omitted" (`kind` is "warning" or "info"). What the HTTP API answers.
std::vector<std::string> LimitAnnotations(std::vector<std::string> lines, size_t limit,
                                          std::string_view kind);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_ANNOTATIONS_H_
