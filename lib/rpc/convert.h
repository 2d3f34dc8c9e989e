#ifndef NARTHEX_LIB_RPC_CONVERT_H_
#define NARTHEX_LIB_RPC_CONVERT_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/model/alert.h"
#include "narthex/v1/alertmanager.pb.h"
#include "narthex/v1/types.pb.h"

// Between the shared vocabulary and the messages that carry it. What comes from a peer is checked
// here once: a bad matcher, a label name twice or an empty name is InvalidArgument. Empty label
// values are dropped, as everywhere.
namespace narthex::rpc {

void ToProto(const Labels& labels, v1::LabelSet* proto);
absl::StatusOr<Labels> FromProto(const v1::LabelSet& proto);

void ToProto(const Matcher& matcher, v1::Matcher* proto);
absl::StatusOr<Matcher> FromProto(const v1::Matcher& proto);

void ToProto(std::span<const Matcher> matchers,
             google::protobuf::RepeatedPtrField<v1::Matcher>* proto);
absl::StatusOr<std::vector<Matcher>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Matcher>& proto);

void ToProto(const Alert& alert, v1::Alert* proto);
absl::StatusOr<Alert> FromProto(const v1::Alert& proto);

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_CONVERT_H_
