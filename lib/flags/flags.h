#ifndef NARTHEX_LIB_FLAGS_FLAGS_H_
#define NARTHEX_LIB_FLAGS_FLAGS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace narthex::flags {

enum class ParseResult { kRun, kExit };  // kExit: --help or --version was printed.

// Command-line flags in the dotted style of Prometheus: --name=value or --name value (one value
// each, "--name=" is the empty text), --flag and
// --no-flag for booleans, repeatable ones collect. Every problem is one line that names the flag.
// Thread safety: none.
class FlagSet {
 public:
  FlagSet(std::string_view program, std::string_view version, std::string_view description);
  ~FlagSet();

  void String(std::string_view name, std::string* value, std::string_view help);
  void Strings(std::string_view name, std::vector<std::string>* values, std::string_view help);
  void Bool(std::string_view name, bool* value, std::string_view help);
  void Int(std::string_view name, int64_t* value, std::string_view help);
  void Double(std::string_view name, double* value, std::string_view help);
  void Duration(std::string_view name, absl::Duration* value,
                std::string_view help);  // Prometheus durations.
  void Bytes(std::string_view name, uint64_t* value,
             std::string_view help);  // 512MB, 1GiB; base 2 like upstream's units.
  void Enum(std::string_view name, std::string* value, std::vector<std::string> allowed,
            std::string_view help);
  // Another spelling of a flag that is registered already (--storage.tsdb.path for --storage.path).
  void Alias(std::string_view alias, std::string_view name);
  // A flag of upstream's that another service owns; using it is an error that says so.
  void OwnedBy(std::string_view name, std::string_view owner);
  // A flag that upstream has and that has no meaning here; accepted, and listed by ignored().
  void Ignored(std::string_view name, bool takes_value, std::string_view why);

  // Prints help or version on standard output itself.
  absl::StatusOr<ParseResult> Parse(int argc, const char* const* argv);
  // Name to value as text, of all flags: /api/v1/status/flags.
  std::map<std::string, std::string> Values() const;
  std::vector<std::string> ignored() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::flags

#endif  // NARTHEX_LIB_FLAGS_FLAGS_H_
