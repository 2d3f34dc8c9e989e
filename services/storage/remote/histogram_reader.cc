#include "services/storage/remote/histogram_reader.h"

#include <bit>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/remote/proto_reader.h"

namespace narthex::storage_remote {
namespace {

using remote::ProtoReader;
using remote::WireType;

// The members of both kinds, before it is known which one it is.
struct Members {
  bool float_count = false;
  bool int_count = false;
  double count_real = 0;
  uint64_t count = 0;
  double zero_count_real = 0;
  uint64_t zero_count = 0;
  bool float_zero_count = false;
  std::vector<double> negative_counts;
  std::vector<double> positive_counts;
};

absl::Status ReadSpan(std::string_view message, std::vector<HistogramSpan>* spans) {
  HistogramSpan span;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) span.offset = static_cast<int32_t>(reader.sint64());
    if (reader.Is(2, WireType::kVarint)) span.length = static_cast<uint32_t>(reader.number());
  }
  if (reader.failed()) return InvalidArgument("a span is malformed");
  spans->push_back(span);
  return absl::OkStatus();
}

absl::Status ReadReals(const ProtoReader& field, std::string_view name,
                       std::vector<double>* values) {
  const auto add = [values](uint64_t bits) { values->push_back(std::bit_cast<double>(bits)); };
  if (!remote::VisitFixed64(field, add)) return InvalidArgument(name, " is malformed");
  return absl::OkStatus();
}

absl::Status ReadDeltas(const ProtoReader& field, std::string_view name,
                        std::vector<int64_t>* values) {
  const auto add = [values](uint64_t value) { values->push_back(UnZigZag(value)); };
  if (!remote::VisitVarints(field, add)) return InvalidArgument(name, " is malformed");
  return absl::OkStatus();
}

absl::Status ReadResetHint(uint64_t number, CounterResetHint* hint) {
  if (number > static_cast<uint64_t>(CounterResetHint::kGauge)) {
    return InvalidArgument("reset_hint ", number, " is not known");
  }
  *hint = static_cast<CounterResetHint>(number);
  return absl::OkStatus();
}

// The members that lists are of, and those that are messages.
absl::Status ReadList(ProtoReader& reader, Histogram* histogram, Members* members) {
  if (reader.Is(8, WireType::kBytes)) return ReadSpan(reader.bytes(), &histogram->negative_spans);
  if (reader.Is(11, WireType::kBytes)) return ReadSpan(reader.bytes(), &histogram->positive_spans);
  switch (reader.field()) {
    case 9:
      return ReadDeltas(reader, "negative_deltas", &histogram->negative_deltas);
    case 10:
      return ReadReals(reader, "negative_counts", &members->negative_counts);
    case 12:
      return ReadDeltas(reader, "positive_deltas", &histogram->positive_deltas);
    case 13:
      return ReadReals(reader, "positive_counts", &members->positive_counts);
    case 16:
      return ReadReals(reader, "custom_values", &histogram->custom_values);
    default:
      return absl::OkStatus();
  }
}

void ReadCount(ProtoReader& reader, Members* members) {
  if (reader.Is(1, WireType::kVarint)) {
    members->count = reader.number();
    members->int_count = true;
    members->float_count = false;
  } else if (reader.Is(2, WireType::kFixed64)) {
    members->count_real = reader.real();
    members->float_count = true;
    members->int_count = false;
  } else if (reader.Is(6, WireType::kVarint)) {
    members->zero_count = reader.number();
    members->float_zero_count = false;
  } else if (reader.Is(7, WireType::kFixed64)) {
    members->zero_count_real = reader.real();
    members->float_zero_count = true;
  }
}

void MakeFloat(Members&& members, Histogram&& from, FloatHistogram* to) {
  to->reset_hint = from.reset_hint;
  to->schema = from.schema;
  to->zero_threshold = from.zero_threshold;
  to->zero_count =
      members.float_zero_count ? members.zero_count_real : static_cast<double>(members.zero_count);
  to->count = members.count_real;
  to->sum = from.sum;
  to->positive_spans = std::move(from.positive_spans);
  to->negative_spans = std::move(from.negative_spans);
  to->positive_buckets = std::move(members.positive_counts);
  to->negative_buckets = std::move(members.negative_counts);
  to->custom_values = std::move(from.custom_values);
}

}  // namespace

absl::Status ReadHistogram(std::string_view message, Timestamp* timestamp,
                           Timestamp* start_timestamp,
                           storage::AppendBatch::HistogramEntry* entry) {
  *timestamp = 0;
  *start_timestamp = 0;
  Histogram histogram;
  Members members;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(3, WireType::kFixed64)) {
      histogram.sum = reader.real();
    } else if (reader.Is(4, WireType::kVarint)) {
      histogram.schema = static_cast<int32_t>(reader.sint64());
    } else if (reader.Is(5, WireType::kFixed64)) {
      histogram.zero_threshold = reader.real();
    } else if (reader.Is(14, WireType::kVarint)) {
      NARTHEX_RETURN_IF_ERROR(ReadResetHint(reader.number(), &histogram.reset_hint));
    } else if (reader.Is(15, WireType::kVarint)) {
      *timestamp = reader.int64();
    } else if (reader.Is(17, WireType::kVarint)) {
      *start_timestamp = reader.int64();
    } else {
      ReadCount(reader, &members);
      NARTHEX_RETURN_IF_ERROR(ReadList(reader, &histogram, &members));
    }
  }
  if (reader.failed()) return InvalidArgument("the message is malformed");
  entry->is_float = members.float_count;
  if (entry->is_float) {
    MakeFloat(std::move(members), std::move(histogram), &entry->float_histogram);
    return absl::OkStatus();
  }
  histogram.count = members.count;
  histogram.zero_count = members.zero_count;
  entry->histogram = std::move(histogram);
  return absl::OkStatus();
}

}  // namespace narthex::storage_remote
