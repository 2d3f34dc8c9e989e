#ifndef NARTHEX_LIB_GOTEMPLATE_TEMPLATE_SET_H_
#define NARTHEX_LIB_GOTEMPLATE_TEMPLATE_SET_H_

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/gotemplate/value.h"

namespace narthex::gotemplate {

// What functions may reach outside of their arguments: a clock, a query engine. A set of functions
// derives its own from it and casts back; the caller of Execute() passes one of that kind.
class Environment {
 public:
  virtual ~Environment() = default;
};

// A function that templates call by name.
struct Function {
  std::string_view name;
  Signature signature;
  // The arguments were checked against the signature. An error becomes "error calling <name>:
  // <message>".
  absl::StatusOr<Value> (*call)(const Environment& environment, std::span<const Value> args);
};

// The functions of one dialect. The builtins of Go (and, or, not, len, index, slice, print, printf,
// println, html, js, urlquery, call, eq, ne, lt, le, gt, ge) are always there. Built once, then
// read only.
class FunctionTable {
 public:
  explicit FunctionTable(std::vector<Function> functions);
  const Function* Find(std::string_view name) const;  // Null when there is none.

 private:
  std::map<std::string_view, Function> functions_;
};

// Bounds on one execution, so that no template takes the process down.
struct Limits {
  size_t output_bytes_max = size_t{16} << 20;
  size_t steps_max = 10'000'000;  // Nodes evaluated.
  int depth_max = 1000;           // Nested {{ template }} calls; Go's own bound is 100,000.
};

struct Tree;  // A parsed template; node.h.

// A set of named templates of Go's text/template, with missingkey=zero: what Parse() adds may call
// what other texts define, and a later definition replaces an earlier one unless it is empty.
// Copies share the parsed trees, so a set of defaults is parsed once and copied for each text that
// is laid over it.
//
// Thread safety: Parse() none; Execute() may run from many threads. `functions` must outlive the
// set and its copies.
class TemplateSet {
 public:
  explicit TemplateSet(const FunctionTable* functions) : functions_(functions) {}

  // Adds `text` as template `name`, with everything that it defines. InvalidArgument in Go's words
  // ("template: x:1: unexpected EOF"); the set is then unchanged.
  absl::Status Parse(std::string_view name, std::string_view text);
  bool Has(std::string_view name) const;
  // Runs template `name` with `dot` as the data. InvalidArgument in Go's words ("template: x:1:3:
  // executing "x" at
  // <.Foo>: can't evaluate field Foo in type …"), ResourceExhausted on a limit; nothing of the
  // output is kept then.
  absl::StatusOr<std::string> Execute(std::string_view name, const Value& dot,
                                      const Environment& environment,
                                      const Limits& limits = {}) const;

 private:
  friend class Executor;

  const FunctionTable* functions_;
  std::map<std::string, std::shared_ptr<const Tree>, std::less<>> trees_;
};

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_TEMPLATE_SET_H_
