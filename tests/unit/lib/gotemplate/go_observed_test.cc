#include <fstream>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/gotemplate/template_set.h"
#include "lib/gotemplate/value.h"
#include "lib/json/reader.h"

// Replays a table of what Go's own text/template printed (testdata/observe.go made it, over the
// same data and functions).
namespace narthex::gotemplate {
namespace {

using Args = std::span<const Value>;
using Result = absl::StatusOr<Value>;

const Type* PairType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "main.Pair";
    made->kind = Kind::kStruct;
    made->fields = {"Name", "Value"};
    return made;
  }();
  return type;
}

const Type* PairsType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "main.Pairs";
    made->kind = Kind::kList;
    made->element = PairType();
    return made;
  }();
  return type;
}

const Type* KvType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "main.KV";
    made->kind = Kind::kMap;
    made->element = StringType();
    made->underlying = "map[string]string";
    made->methods = {
        {"SortedPairs",
         {},
         [](const Value& self, Args) -> Result {
           Value::List pairs;
           for (const auto& [name, value] : self.map()) {
             pairs.push_back(Value::MakeStruct(PairType(), {Value::String(name), value}));
           }
           return Value::MakeList(std::move(pairs), PairsType());
         }},
        {"Names",
         {},
         [](const Value& self, Args) -> Result {
           std::vector<std::string> names;
           for (const auto& entry : self.map()) names.push_back(entry.first);
           return Value::MakeStrings(names);
         }},
        {"Remove",
         {{StringListType()}, false},
         [](const Value& self, Args args) -> Result {
           Value::Map left = self.map();
           for (const Value& name : args[0].list()) left.erase(name.string_value());
           return Value::MakeMap(std::move(left), self.type());
         }},
    };
    return made;
  }();
  return type;
}

const Type* AlertType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "main.Alert";
    made->kind = Kind::kStruct;
    made->fields = {"Status", "Labels", "StartsAt"};
    return made;
  }();
  return type;
}

const Type* AlertsType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "[]main.Alert";
    made->kind = Kind::kList;
    made->element = AlertType();
    return made;
  }();
  return type;
}

const Type* DataType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "main.Data";
    made->kind = Kind::kStruct;
    made->fields = {"Receiver", "Count", "Ratio", "Ok",      "Labels", "Alerts",
                    "Any",      "Wait",  "Names", "Nothing", "Start"};
    return made;
  }();
  return type;
}

Value TestData() {
  const absl::Time start =
      absl::FromCivil(absl::CivilSecond(2026, 3, 7, 16, 5, 9), absl::UTCTimeZone()) +
      absl::Microseconds(120034);
  const auto alert = [](const char* status, const char* instance, absl::Time at) {
    return Value::MakeStruct(
        AlertType(),
        {Value::String(status),
         Value::MakeStringMap({{"alertname", "Down"}, {"instance", instance}}, KvType()),
         Value::Time({at})});
  };
  const Value any_list = Value::MakeList(
      {Value::Int(1), Value::String("two"), Value::Float(3.5), Value::Zero(AnyType())});
  return Value::MakeStruct(
      DataType(),
      {Value::String("team-x"), Value::Int(3), Value::Float(0.5), Value::Bool(true),
       Value::MakeStringMap({{"alertname", "Down"}, {"job", "node"}, {"zone", "a<b"}}, KvType()),
       Value::MakeList({alert("firing", "h1:9100", start),
                        alert("resolved", "h2:9100", start + absl::Minutes(1))},
                       AlertsType()),
       Value::MakeMap({{"list", any_list}, {"n", Value::Int(7)}, {"none", Value::Zero(AnyType())}}),
       Value::Duration(absl::Minutes(90) + absl::Milliseconds(1500)),
       Value::MakeStrings({"x", "y", "z"}), Value::Zero(AnyType()), Value::Time({start})});
}

const FunctionTable& TestFunctions() {
  static const FunctionTable table({
      {"stringSlice",
       {{StringType()}, true},
       [](const Environment&, Args args) -> Result {
         return Value::MakeList(Value::List(args.begin(), args.end()), StringListType());
       }},
      {"join",
       {{StringType(), StringListType()}, false},
       [](const Environment&, Args args) -> Result {
         std::vector<std::string> parts;
         for (const Value& part : args[1].list()) parts.push_back(part.string_value());
         return Value::String(Join(parts, args[0].string_value()));
       }},
      {"fail", {}, [](const Environment&, Args) -> Result { return InvalidArgument("it failed"); }},
      {"half",
       {{FloatType()}, false},
       [](const Environment&, Args args) -> Result {
         return Value::Float(args[0].float_value() / 2);
       }},
      {"next",
       {{IntType()}, false},
       [](const Environment&, Args args) -> Result { return Value::Int(args[0].int_value() + 1); }},
      {"flip",
       {{BoolType()}, false},
       [](const Environment&, Args args) -> Result { return Value::Bool(!args[0].bool_value()); }},
  });
  return table;
}

TEST_CASE("every template of the observed table prints what Go printed") {
  std::ifstream file(NARTHEX_TEST_DATA "/go_observed.jsonl");
  REQUIRE(file);
  const Value data = TestData();
  size_t rows = 0;
  for (std::string line; std::getline(file, line);) {
    const auto row = json::Parse(line);
    REQUIRE(row.ok());
    const std::string& text = row->array[0].text;
    TemplateSet set(&TestFunctions());
    const absl::Status parsed = set.Parse("t", text);
    const absl::StatusOr<std::string> output =
        parsed.ok() ? set.Execute("t", data, Environment()) : absl::StatusOr<std::string>(parsed);
    INFO("template: " << text);
    if (row->array.size() == 3) {
      CHECK(std::string(Message(output.status())) == row->array[2].text);
    } else {
      CHECK(std::string(Message(output.status())) == "");
      if (output.ok()) CHECK(*output == row->array[1].text);
    }
    ++rows;
  }
  CHECK(rows > 1700);
}

}  // namespace
}  // namespace narthex::gotemplate
