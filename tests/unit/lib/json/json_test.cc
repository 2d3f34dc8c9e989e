#include <string>

#include "catch2/catch.hpp"
#include "lib/json/reader.h"
#include "lib/json/writer.h"

namespace narthex::json {
namespace {

TEST_CASE("The writer places commas and nests") {
  std::string out;
  Writer w(&out);
  w.BeginObject();
  w.Key("a");
  w.Int(-1);
  w.Key("b");
  w.BeginArray();
  w.String("x");
  w.Bool(true);
  w.Null();
  w.BeginObject();
  w.EndObject();
  w.BeginArray();
  w.EndArray();
  w.Raw("[1]");
  w.EndArray();
  w.Key("c");
  w.Double(1.5);
  w.EndObject();
  CHECK(out == R"({"a":-1,"b":["x",true,null,{},[],[1]],"c":1.5})");
}

TEST_CASE("Strings are escaped as Go's encoder does") {
  std::string out;
  AppendQuoted(&out, "a\"b\\c\n\r\t\x01<>&\u2028\u00e9\xff\x7f");
  CHECK(out == "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u003c\\u003e\\u0026\\u2028\u00e9\\ufffd\x7f\"");
}

TEST_CASE("Doubles have Go's forms") {
  const std::pair<double, const char*> rows[] = {{0, "0"},         {1e21, "1e+21"},
                                                 {1e-9, "1e-9"},   {1e-6, "0.000001"},
                                                 {1e-10, "1e-10"}, {123456789, "123456789"}};
  for (const auto& [value, text] : rows) {
    std::string out;
    Writer(&out).Double(value);
    CHECK(out == text);
  }
}

TEST_CASE("The reader keeps order, takes the last of repeated members, and refuses bad text") {
  const auto value =
      Parse(R"({"z":1,"a":[true,null,"x\u00e9",-2.5],"z":{"k":18446744073709551615}})");
  REQUIRE(value.ok());
  CHECK(value->object.size() == 3);
  CHECK(value->object[0].first == "z");
  CHECK(value->Find("z")->is_object());
  CHECK(value->Find("z")->Find("k")->text == "18446744073709551615");
  CHECK(value->Find("a")->array[2].text == "x\u00e9");
  CHECK(value->Find("a")->array[3].number == -2.5);
  CHECK(value->Find("none") == nullptr);
  for (const char* bad : {"", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"\xff\"", "{\"a\":1}x"}) {
    CAPTURE(bad);
    CHECK(!Parse(bad).ok());
  }
  CHECK(!Parse(std::string(600, '[') + std::string(600, ']')).ok());
}

}  // namespace
}  // namespace narthex::json
