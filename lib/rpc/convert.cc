#include "lib/rpc/convert.h"

#include <algorithm>
#include <string_view>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::rpc {
namespace {

absl::StatusOr<MatchType> FromProtoType(v1::Matcher::Type type) {
  // The numbers come from the wire, so there may be others than those of the enum.
  switch (static_cast<int>(type)) {
    case v1::Matcher::EQUAL:
      return MatchType::kEqual;
    case v1::Matcher::NOT_EQUAL:
      return MatchType::kNotEqual;
    case v1::Matcher::REGEX:
      return MatchType::kRegex;
    case v1::Matcher::NOT_REGEX:
      return MatchType::kNotRegex;
    default:
      return InvalidArgument("unknown matcher type ", static_cast<int>(type));
  }
}

v1::Matcher::Type ToProtoType(MatchType type) {
  switch (type) {
    case MatchType::kEqual:
      return v1::Matcher::EQUAL;
    case MatchType::kNotEqual:
      return v1::Matcher::NOT_EQUAL;
    case MatchType::kRegex:
      return v1::Matcher::REGEX;
    case MatchType::kNotRegex:
      break;
  }
  return v1::Matcher::NOT_REGEX;
}

int64_t ToProtoTime(absl::Time time) {
  return time == absl::InfiniteFuture() ? 0 : absl::ToUnixNanos(time);
}

absl::Time FromProtoTime(int64_t nanoseconds) {
  return nanoseconds == 0 ? absl::InfiniteFuture() : absl::FromUnixNanos(nanoseconds);
}

}  // namespace

void ToProto(const Labels& labels, v1::LabelSet* proto) {
  proto->mutable_labels()->Reserve(static_cast<int>(labels.size()));
  for (const LabelView label : labels) {
    v1::Label* added = proto->add_labels();
    added->set_name(label.name.data(), label.name.size());
    added->set_value(label.value.data(), label.value.size());
  }
}

absl::StatusOr<Labels> FromProto(const v1::LabelSet& proto) {
  std::vector<LabelView> views;
  views.reserve(static_cast<size_t>(proto.labels_size()));
  for (const v1::Label& label : proto.labels()) {
    if (label.name().empty()) return InvalidArgument("a label without a name");
    views.push_back({label.name(), label.value()});
  }
  std::sort(views.begin(), views.end());
  for (size_t i = 1; i < views.size(); ++i) {
    if (views[i].name == views[i - 1].name) {
      return InvalidArgument("label ", Quote(views[i].name), " is there twice");
    }
  }
  std::erase_if(views, [](const LabelView& view) { return view.value.empty(); });
  return Labels::FromSorted(views);
}

void ToProto(const Matcher& matcher, v1::Matcher* proto) {
  proto->set_type(ToProtoType(matcher.type()));
  proto->set_name(matcher.name());
  proto->set_value(matcher.value());
}

absl::StatusOr<Matcher> FromProto(const v1::Matcher& proto) {
  NARTHEX_ASSIGN_OR_RETURN(const MatchType type, FromProtoType(proto.type()));
  return Matcher::Create(type, proto.name(), proto.value());
}

void ToProto(std::span<const Matcher> matchers,
             google::protobuf::RepeatedPtrField<v1::Matcher>* proto) {
  proto->Reserve(static_cast<int>(matchers.size()));
  for (const Matcher& matcher : matchers) ToProto(matcher, proto->Add());
}

absl::StatusOr<std::vector<Matcher>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Matcher>& proto) {
  std::vector<Matcher> matchers;
  matchers.reserve(static_cast<size_t>(proto.size()));
  for (const v1::Matcher& item : proto) {
    NARTHEX_ASSIGN_OR_RETURN(Matcher matcher, FromProto(item));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

void ToProto(const Alert& alert, v1::Alert* proto) {
  ToProto(alert.labels, proto->mutable_labels());
  ToProto(alert.annotations, proto->mutable_annotations());
  proto->set_starts_at_ns(ToProtoTime(alert.starts_at));
  proto->set_ends_at_ns(ToProtoTime(alert.ends_at));
  proto->set_generator_url(alert.generator_url);
}

absl::StatusOr<Alert> FromProto(const v1::Alert& proto) {
  Alert alert;
  NARTHEX_ASSIGN_OR_RETURN(alert.labels, FromProto(proto.labels()));
  NARTHEX_ASSIGN_OR_RETURN(alert.annotations, FromProto(proto.annotations()));
  alert.starts_at = FromProtoTime(proto.starts_at_ns());
  alert.ends_at = FromProtoTime(proto.ends_at_ns());
  alert.generator_url = proto.generator_url();
  return alert;
}

}  // namespace narthex::rpc
