// Any bytes as a list of changes to a label set: the builder gives what a std::map gives, sets
// compare as their maps do, and matchers on values agree with plain comparisons.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/labels/labels.h"
#include "lib/labels/labels_builder.h"
#include "lib/labels/matcher.h"

namespace {

using narthex::Labels;
using narthex::LabelsBuilder;
using narthex::LabelView;
using narthex::Matcher;
using Map = std::map<std::string, std::string, std::less<>>;

// Takes a text of a length given by its first byte off `bytes`.
std::string_view Take(std::string_view* bytes) {
  if (bytes->empty()) return {};
  const size_t size = static_cast<unsigned char>(bytes->front()) % 20;
  bytes->remove_prefix(1);
  const std::string_view text = bytes->substr(0, size);
  bytes->remove_prefix(text.size());
  return text;
}

void CheckSame(const Labels& labels, const Map& map) {
  NARTHEX_CHECK(labels.size() == map.size());
  auto expected = map.begin();
  for (const LabelView label : labels) {
    NARTHEX_CHECK(label.name == expected->first && label.value == expected->second);
    NARTHEX_CHECK(labels.Get(label.name) == label.value);
    ++expected;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  LabelsBuilder builder;
  Map map;
  Labels before;
  Map map_before;
  while (!bytes.empty()) {
    const uint8_t operation = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    switch (operation % 4) {
      case 0:
      case 1: {
        const std::string_view name = Take(&bytes);
        const std::string_view value = Take(&bytes);
        builder.Set(name, value);
        if (value.empty()) {
          map.erase(std::string(name));
        } else {
          map.insert_or_assign(std::string(name), std::string(value));
        }
        break;
      }
      case 2: {
        const std::string_view name = Take(&bytes);
        builder.Del(name);
        map.erase(std::string(name));
        break;
      }
      case 3: {
        // The set so far becomes the base.
        const Labels built = builder.Build();
        CheckSame(built, map);
        NARTHEX_CHECK((built == before) == (map == map_before));
        NARTHEX_CHECK((built < before) == (map < map_before));
        if (built == before) NARTHEX_CHECK(built.hash() == before.hash());
        before = built;
        map_before = map;
        builder.Reset(built);
        break;
      }
    }
  }
  const Labels built = builder.Build();
  CheckSame(built, map);
  for (const auto& [name, value] : map) {
    NARTHEX_CHECK(Matcher::Equal(name, value).Matches(built.Get(name)));
    NARTHEX_CHECK(!Matcher::Equal(name, value).MatchesEmpty());
    NARTHEX_CHECK(Matcher::Equal(name, value).ToString().size() >= value.size());
  }
  return 0;
}
