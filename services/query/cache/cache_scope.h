#ifndef NARTHEX_SERVICES_QUERY_CACHE_CACHE_SCOPE_H_
#define NARTHEX_SERVICES_QUERY_CACHE_CACHE_SCOPE_H_

#include <cstdint>
#include <optional>

#include "lib/model/timestamp.h"
#include "services/query/promql/ast.h"

namespace narthex::query_cache {

// Which samples the value of an expression at time t may depend on: those up to t + ahead_ms, and
// those up to fixed_until, whatever t is ("@").
struct CacheScope {
  int64_t ahead_ms = 0;
  Timestamp fixed_until = kMinTimestamp;

  // The last time at which the value is what it was, when samples from `oldest_change` on may have
  // changed; kMinTimestamp when there is none.
  Timestamp LastHolding(Timestamp oldest_change) const {
    if (oldest_change == kMaxTimestamp) return kMaxTimestamp;
    if (fixed_until >= oldest_change || oldest_change <= kMinTimestamp + ahead_ms) {
      return kMinTimestamp;
    }
    return oldest_change - 1 - ahead_ms;
  }
};

// Null where the value at a time also depends on the bounds of the query: start(), end(), range(),
// step(), @ start(), and durations that are computed from them. `lookback_ms` is that of the query.
std::optional<CacheScope> ScopeOf(const promql::Expr& expr, int64_t lookback_ms);

}  // namespace narthex::query_cache

#endif  // NARTHEX_SERVICES_QUERY_CACHE_CACHE_SCOPE_H_
