#include "lib/rpc/convert.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::rpc {
namespace {

TEST_CASE("Label sets keep every byte on the way") {
  for (const Labels& labels :
       {Labels(), Labels{{"a", "1"}}, Labels{{"__name__", "up"}, {"\xc3\xa4.b", "\"\n\x01"}}}) {
    v1::LabelSet proto;
    ToProto(labels, &proto);
    CHECK(FromProto(proto).value() == labels);
  }
}

TEST_CASE("Label sets of a peer are sorted, and refused when a name is empty or there twice") {
  const auto set = [](std::vector<std::pair<std::string, std::string>> pairs) {
    v1::LabelSet proto;
    for (const auto& [name, value] : pairs) {
      v1::Label* label = proto.add_labels();
      label->set_name(name);
      label->set_value(value);
    }
    return FromProto(proto);
  };
  CHECK(set({{"b", "2"}, {"a", "1"}}).value() == Labels{{"a", "1"}, {"b", "2"}});
  CHECK(set({{"b", "2"}, {"a", ""}}).value() == Labels{{"b", "2"}});
  CHECK(absl::IsInvalidArgument(set({{"a", "1"}, {"a", "2"}}).status()));
  CHECK(absl::IsInvalidArgument(set({{"", "1"}}).status()));
}

TEST_CASE("Matchers keep type, name and value, and bad ones are refused") {
  for (const MatchType type :
       {MatchType::kEqual, MatchType::kNotEqual, MatchType::kRegex, MatchType::kNotRegex}) {
    const Matcher matcher = Matcher::Create(type, "a.b", "x|y").value();
    v1::Matcher proto;
    ToProto(matcher, &proto);
    CHECK(FromProto(proto).value() == matcher);
  }
  v1::Matcher proto;
  proto.set_type(v1::Matcher::REGEX);
  proto.set_value("(");
  CHECK(absl::IsInvalidArgument(FromProto(proto).status()));
  proto.set_value("x");
  proto.set_type(static_cast<v1::Matcher::Type>(9));
  CHECK(absl::IsInvalidArgument(FromProto(proto).status()));
}

TEST_CASE("Alerts keep their fields, and a time that is not set stays so") {
  Alert alert;
  alert.labels = Labels{{"alertname", "a"}};
  alert.annotations = Labels{{"summary", "s"}};
  alert.starts_at = absl::FromUnixNanos(1'700'000'000'123'456'789);
  alert.generator_url = "http://x";
  v1::Alert proto;
  ToProto(alert, &proto);
  const Alert back = FromProto(proto).value();
  CHECK(back.labels == alert.labels);
  CHECK(back.annotations == alert.annotations);
  CHECK(back.starts_at == alert.starts_at);
  CHECK(back.ends_at == absl::InfiniteFuture());
  CHECK(back.generator_url == alert.generator_url);
}

}  // namespace
}  // namespace narthex::rpc
