#include "lib/labels/symbols.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"

namespace narthex {
namespace {

TEST_CASE("a symbol table numbers strings in order of arrival, each once") {
  SymbolTable table;
  CHECK(table.Intern("up") == 0);
  CHECK(table.Intern("") == 1);
  CHECK(table.Intern("job") == 2);
  CHECK(table.Intern("up") == 0);
  CHECK(table.size() == 3);
  CHECK(table.Text(2) == "job");
  CHECK(table.Text(1).empty());
  Symbol symbol = 99;
  CHECK(table.Find("job", &symbol));
  CHECK(symbol == 2);
  CHECK_FALSE(table.Find("instance", &symbol));
}

TEST_CASE("the bytes of a symbol never move") {
  SymbolTable table;
  std::vector<std::string_view> texts;
  // Some longer than a slab.
  for (int i = 0; i < 3000; ++i) {
    const size_t length = i % 500 == 0 ? 40000 : i % 50;
    texts.push_back(table.Text(table.Intern(std::to_string(i) + std::string(length, 'x'))));
  }
  REQUIRE(table.size() == texts.size());
  for (Symbol i = 0; i < texts.size(); ++i) {
    CHECK(table.Text(i).data() == texts[i].data());
    CHECK(table.Text(i).substr(0, std::to_string(i).size()) == std::to_string(i));
  }
  CHECK(table.memory_bytes() > 6 * 40000);
}

}  // namespace
}  // namespace narthex
