#ifndef NARTHEX_SERVICES_QUERY_PROMQL_FUNCTIONS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_FUNCTIONS_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "services/query/promql/ast.h"

namespace narthex::promql {

// What the parser and the type check know of a function: one row of a closed table.
struct FunctionSignature {
  std::string_view name;
  ValueType return_type = ValueType::kVector;
  std::array<ValueType, 5> arg_types = {};  // Up to arg_count.
  int arg_count = 0;
  // 0: exactly arg_count. n > 0: up to n of the last may be missing or, beyond, repeated: between
  // arg_count - 1 and arg_count - 1 + n. -1: the last one any number of times, or not at all.
  int variadic = 0;
  bool experimental = false;
};

// All 90, by name.
std::span<const FunctionSignature> AllFunctions();
// Null when there is none of that name.
const FunctionSignature* FindFunction(std::string_view name);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_FUNCTIONS_H_
