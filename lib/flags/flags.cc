#include "lib/flags/flags.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::flags {
namespace {

// CLI11 takes "--name=" for a missing value; this stands for the empty text on the way through it.
constexpr char kEmptyValue[] = "\x01";

std::string Restore(const std::string& value) { return value == kEmptyValue ? "" : value; }

// "512MB", "1GiB", "1.5G", "100": powers of 1024 whichever way the unit is spelled, as upstream's
// units do.
absl::StatusOr<uint64_t> ParseBytes(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() &&
         ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
    ++digits;
  double number = 0;
  if (!ParseDouble(text.substr(0, digits), &number)) {
    return InvalidArgument("not a size in bytes: ", Quote(text));
  }
  std::string_view unit = text.substr(digits);
  double factor = 1;
  if (!unit.empty() && unit != "B") {
    const size_t power = std::string_view("KMGTPE").find(unit[0]);
    const std::string_view suffix = unit.substr(1);
    if (power == std::string_view::npos || !(suffix.empty() || suffix == "B" || suffix == "iB")) {
      return InvalidArgument("unknown unit ", Quote(unit), " in ", Quote(text),
                             "; use KB, MB, GB, TB, PB or EB");
    }
    factor = std::pow(1024.0, static_cast<double>(power + 1));
  }
  if (number * factor >= 9.2e18) return InvalidArgument("size out of range: ", Quote(text));
  return static_cast<uint64_t>(number * factor);
}

}  // namespace

struct FlagSet::Rep {
  struct Flag {
    std::string help;
    bool takes_value = true;
    bool repeatable = false;
    std::string owner;      // Another service's flag.
    std::string ignored;    // Why it has no meaning here.
    std::string canonical;  // What an alias stands for.
    // Null for flags of the three kinds above.
    std::function<absl::Status(const std::string&)> set;
    std::function<std::string()> text;
  };
  std::string program;
  std::string version;
  std::string description;
  std::map<std::string, Flag, std::less<>> flags;
  std::vector<std::string> order;
  std::vector<std::string> ignored;

  Flag& Add(std::string_view name, std::string_view help) {
    order.emplace_back(name);
    Flag& flag = flags[std::string(name)];
    flag.help = help;
    return flag;
  }
};

FlagSet::FlagSet(std::string_view program, std::string_view version, std::string_view description)
    : rep_(std::make_unique<Rep>()) {
  rep_->program = program;
  rep_->version = version;
  rep_->description = description;
}

FlagSet::~FlagSet() = default;

void FlagSet::String(std::string_view name, std::string* value, std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.set = [value](const std::string& text) {
    *value = text;
    return absl::OkStatus();
  };
  flag.text = [value] { return *value; };
}

void FlagSet::Strings(std::string_view name, std::vector<std::string>* values,
                      std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.repeatable = true;
  // The first use replaces the defaults.
  flag.set = [values, first = true](const std::string& text) mutable {
    if (std::exchange(first, false)) values->clear();
    values->push_back(text);
    return absl::OkStatus();
  };
  flag.text = [values] { return Join(*values, ","); };
}

void FlagSet::Bool(std::string_view name, bool* value, std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.takes_value = false;
  flag.set = [value](const std::string& text) {
    if (text != "true" && text != "false")
      return InvalidArgument("expected true or false, got ", Quote(text));
    *value = text == "true";
    return absl::OkStatus();
  };
  flag.text = [value] { return std::string(*value ? "true" : "false"); };
}

void FlagSet::Int(std::string_view name, int64_t* value, std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.set = [value](const std::string& text) {
    return ParseInt64(text, value) ? absl::OkStatus()
                                   : InvalidArgument("not a whole number: ", Quote(text));
  };
  flag.text = [value] { return StrCat(*value); };
}

void FlagSet::Double(std::string_view name, double* value, std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.set = [value](const std::string& text) {
    return ParseDouble(text, value) ? absl::OkStatus()
                                    : InvalidArgument("not a number: ", Quote(text));
  };
  flag.text = [value] { return StrCat(*value); };
}

void FlagSet::Duration(std::string_view name, absl::Duration* value, std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.set = [value](const std::string& text) {
    NARTHEX_ASSIGN_OR_RETURN(*value, ParseDuration(text));
    return absl::OkStatus();
  };
  flag.text = [value] { return FormatPrometheusDuration(*value); };
}

void FlagSet::Bytes(std::string_view name, uint64_t* value, std::string_view help) {
  Rep::Flag& flag = rep_->Add(name, help);
  flag.set = [value](const std::string& text) {
    NARTHEX_ASSIGN_OR_RETURN(*value, ParseBytes(text));
    return absl::OkStatus();
  };
  flag.text = [value] {
    constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t left = *value;
    size_t unit = 0;
    while (left != 0 && left % 1024 == 0 && unit < 6) {
      left /= 1024;
      ++unit;
    }
    return StrCat(left, kUnits[unit]);
  };
}

void FlagSet::Enum(std::string_view name, std::string* value, std::vector<std::string> allowed,
                   std::string_view help) {
  const std::string choices = Join(allowed, ", ");
  Rep::Flag& flag = rep_->Add(name, StrCat(help, " One of: [", choices, "]"));
  flag.set = [value, allowed = std::move(allowed), choices](const std::string& text) {
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
      return InvalidArgument("must be one of ", choices, "; got ", Quote(text));
    }
    *value = text;
    return absl::OkStatus();
  };
  flag.text = [value] { return *value; };
}

void FlagSet::Alias(std::string_view alias, std::string_view name) {
  rep_->flags[std::string(alias)].canonical = name;
}

void FlagSet::OwnedBy(std::string_view name, std::string_view owner) {
  rep_->flags[std::string(name)].owner = owner;
}

void FlagSet::Ignored(std::string_view name, bool takes_value, std::string_view why) {
  Rep::Flag& flag = rep_->flags[std::string(name)];
  flag.takes_value = takes_value;
  flag.ignored = why;
}

absl::StatusOr<ParseResult> FlagSet::Parse(int argc, const char* const* argv) {
  // One token a flag, "--name=value", each checked against the table, so that CLI11 never guesses
  // where a value ends.
  std::vector<std::string> tokens;
  for (int i = 1; i < argc; ++i) {
    std::string_view token = argv[i];
    if (token == "-h") token = "--help";
    if (token.substr(0, 2) != "--" || token.size() == 2) {
      return InvalidArgument("unexpected argument ", Quote(token),
                             "; flags look like --name=value");
    }
    const size_t equals = token.find('=');
    std::string name(token.substr(2, equals == std::string_view::npos ? equals : equals - 2));
    if (name == "help" || name == "version") {
      tokens.emplace_back(token);
      continue;
    }
    bool negated = false;
    auto found = rep_->flags.find(name);
    if (found == rep_->flags.end() && name.substr(0, 3) == "no-") {
      found = rep_->flags.find(name.substr(3));
      negated = found != rep_->flags.end() && !found->second.takes_value;
      if (!negated) found = rep_->flags.end();
    }
    if (found == rep_->flags.end()) {
      return InvalidArgument("unknown flag --", name, "; see ", rep_->program, " --help");
    }
    if (!found->second.canonical.empty()) found = rep_->flags.find(found->second.canonical);
    const Rep::Flag& flag = found->second;
    name = found->first;
    if (!flag.owner.empty()) {
      return InvalidArgument("--", name, " belongs to ", flag.owner, "; give it to that service");
    }
    std::string value;
    if (equals != std::string_view::npos) {
      value = token.substr(equals + 1);
    } else if (!flag.takes_value) {
      value = negated ? "false" : "true";
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      return InvalidArgument("--", name, ": needs a value");
    }
    if (!flag.ignored.empty()) {
      rep_->ignored.push_back(StrCat("--", name, ": ", flag.ignored));
      continue;
    }
    tokens.push_back(StrCat("--", name, "=", value.empty() ? kEmptyValue : value));
  }

  CLI::App app(rep_->description, rep_->program);
  app.set_version_flag("--version", rep_->version);
  std::vector<std::pair<std::string, CLI::Option*>> options;
  for (const std::string& name : rep_->order) {
    const Rep::Flag& flag = rep_->flags.find(name)->second;
    CLI::Option* option = app.add_option("--" + name, flag.help);
    option->expected(1)->allow_extra_args(false);
    option->multi_option_policy(flag.repeatable ? CLI::MultiOptionPolicy::TakeAll
                                                : CLI::MultiOptionPolicy::Throw);
    if (flag.takes_value) {
      const std::string text = flag.text();
      option->type_name(text.empty() ? "VALUE" : StrCat("VALUE (default ", text, ")"));
    } else {
      option->type_name(flag.text() == "true" ? "(default; --no-" + name + " turns it off)" : "");
    }
    options.emplace_back(name, option);
  }
  try {
    std::vector<std::string> reversed(tokens.rbegin(), tokens.rend());  // What CLI11 expects.
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    const std::string help = app.help();
    std::fwrite(help.data(), 1, help.size(), stdout);
    return ParseResult::kExit;
  } catch (const CLI::CallForVersion&) {
    std::printf("%s\n", rep_->version.c_str());
    return ParseResult::kExit;
  } catch (const CLI::ArgumentMismatch& error) {
    return InvalidArgument(error.what(), "; the flag cannot be given twice");
  } catch (const CLI::Error& error) {
    return InvalidArgument(error.what());
  }
  for (const auto& [name, option] : options) {
    const Rep::Flag& flag = rep_->flags.find(name)->second;
    for (const std::string& value : option->results()) {
      NARTHEX_RETURN_IF_ERROR(Annotate(flag.set(Restore(value)), StrCat("--", name)));
    }
  }
  return ParseResult::kRun;
}

std::map<std::string, std::string> FlagSet::Values() const {
  std::map<std::string, std::string> values;
  for (const std::string& name : rep_->order) values[name] = rep_->flags.find(name)->second.text();
  return values;
}

std::vector<std::string> FlagSet::ignored() const { return rep_->ignored; }

}  // namespace narthex::flags
