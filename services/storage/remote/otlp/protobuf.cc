// opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest: 1 resource_metrics.
//   ResourceMetrics 1 resource{1 attributes}, 2 scope_metrics
//   ScopeMetrics 1 scope{1 name, 2 version, 3 attributes}, 2 metrics, 3 schema_url
//   Metric 1 name, 2 description, 3 unit, 5 gauge, 7 sum, 9 histogram, 10 exponential_histogram,
//     11 summary; each of them 1 data_points, 2 aggregation_temporality, 3 is_monotonic
//   NumberDataPoint 2 start, 3 time, 4 as_double, 5 exemplars, 6 as_int, 7 attributes, 8 flags
//   HistogramDataPoint 2 start, 3 time, 4 count, 5 sum, 6 bucket_counts, 7 explicit_bounds,
//     8 exemplars, 9 attributes, 10 flags
//   ExponentialHistogramDataPoint 1 attributes, 2 start, 3 time, 4 count, 5 sum, 6 scale,
//     7 zero_count, 8 positive{1 offset, 2 bucket_counts}, 9 negative, 10 flags, 11 exemplars,
//     14 zero_threshold
//   SummaryDataPoint 2 start, 3 time, 4 count, 5 sum, 6 quantile_values{1 quantile, 2 value},
//     7 attributes, 8 flags
//   Exemplar 2 time, 3 as_double, 4 span_id, 5 trace_id, 6 as_int, 7 filtered_attributes
//   KeyValue 1 key, 2 value; AnyValue 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes
#include <bit>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/remote/proto_reader.h"
#include "services/storage/remote/otlp/any_value.h"
#include "services/storage/remote/otlp/request.h"

namespace narthex::otlp {
namespace {

using remote::ProtoReader;
using remote::WireType;

absl::Status Malformed() { return InvalidArgument("the message is malformed"); }
absl::Status End(const ProtoReader& reader) {
  return reader.failed() ? Malformed() : absl::OkStatus();
}
// Puts the place of an error in front: "metrics[3]".
absl::Status At(std::string_view list, size_t index, const absl::Status& status) {
  return status.ok() ? status : Annotate(status, StrCat(list, "[", index, "]"));
}

absl::Status ReadAnyValue(std::string_view message, int depth, AnyValue* value);

absl::Status ReadMember(std::string_view message, int depth, AnyValue::Member* member) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) member->key = reader.bytes();
    if (reader.Is(2, WireType::kBytes)) {
      NARTHEX_RETURN_IF_ERROR(ReadAnyValue(reader.bytes(), depth, &member->value));
    }
  }
  return End(reader);
}

absl::Status ReadNested(std::string_view message, int depth, AnyValue* value) {
  const bool is_list = value->kind == AnyValue::Kind::kList;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (!reader.Is(1, WireType::kBytes)) continue;
    if (is_list) {
      NARTHEX_RETURN_IF_ERROR(ReadAnyValue(reader.bytes(), depth + 1, &value->list.emplace_back()));
    } else {
      NARTHEX_RETURN_IF_ERROR(ReadMember(reader.bytes(), depth + 1, &value->map.emplace_back()));
    }
  }
  return End(reader);
}

absl::Status ReadAnyValue(std::string_view message, int depth, AnyValue* value) {
  if (depth > kAnyValueDepthMax) return InvalidArgument("values are nested too deeply");
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) {
      value->kind = AnyValue::Kind::kString;
      value->text = reader.bytes();
    } else if (reader.Is(2, WireType::kVarint)) {
      value->kind = AnyValue::Kind::kBool;
      value->boolean = reader.boolean();
    } else if (reader.Is(3, WireType::kVarint)) {
      value->kind = AnyValue::Kind::kInt;
      value->integer = reader.int64();
    } else if (reader.Is(4, WireType::kFixed64)) {
      value->kind = AnyValue::Kind::kDouble;
      value->real = reader.real();
    } else if (reader.Is(5, WireType::kBytes) || reader.Is(6, WireType::kBytes)) {
      const bool is_list = reader.field() == 5;
      value->kind = is_list ? AnyValue::Kind::kList : AnyValue::Kind::kMap;
      NARTHEX_RETURN_IF_ERROR(ReadNested(reader.bytes(), depth, value));
    } else if (reader.Is(7, WireType::kBytes)) {
      value->kind = AnyValue::Kind::kBytes;
      value->text = Base64(reader.bytes());
    }
  }
  return End(reader);
}

class Decoder {
 public:
  explicit Decoder(Request* request) : request_(request) {}

  absl::Status Decode(std::string_view message) {
    ProtoReader reader(message);
    while (reader.Next()) {
      if (!reader.Is(1, WireType::kBytes)) continue;
      NARTHEX_RETURN_IF_ERROR(
          At("resource_metrics", request_->resources.size(), ReadResource(reader.bytes())));
    }
    return End(reader);
  }

 private:
  absl::Status ReadResource(std::string_view message) {
    Resource resource;
    resource.scopes.begin = request_->scopes.size();
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kBytes)) {
        NARTHEX_RETURN_IF_ERROR(
            Annotate(ReadAttributes(reader.bytes(), 1, &resource.attributes), "resource"));
      } else if (reader.Is(2, WireType::kBytes)) {
        const size_t index = request_->scopes.size() - resource.scopes.begin;
        NARTHEX_RETURN_IF_ERROR(At("scope_metrics", index, ReadScopeMetrics(reader.bytes())));
      }
    }
    resource.scopes.end = request_->scopes.size();
    request_->resources.push_back(resource);
    return End(reader);
  }

  absl::Status ReadScopeMetrics(std::string_view message) {
    Scope scope;
    scope.metrics.begin = request_->metrics.size();
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kBytes)) {
        NARTHEX_RETURN_IF_ERROR(Annotate(ReadScope(reader.bytes(), &scope), "scope"));
      } else if (reader.Is(2, WireType::kBytes)) {
        const size_t index = request_->metrics.size() - scope.metrics.begin;
        NARTHEX_RETURN_IF_ERROR(At("metrics", index, ReadMetric(reader.bytes())));
      } else if (reader.Is(3, WireType::kBytes)) {
        scope.schema_url = reader.bytes();
      }
    }
    scope.metrics.end = request_->metrics.size();
    request_->scopes.push_back(scope);
    return End(reader);
  }

  absl::Status ReadScope(std::string_view message, Scope* scope) {
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kBytes)) scope->name = reader.bytes();
      if (reader.Is(2, WireType::kBytes)) scope->version = reader.bytes();
    }
    NARTHEX_RETURN_IF_ERROR(End(reader));
    return ReadAttributes(message, 3, &scope->attributes);
  }

  absl::Status ReadMetric(std::string_view message) {
    Metric metric;
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kBytes)) metric.name = reader.bytes();
      if (reader.Is(2, WireType::kBytes)) metric.description = reader.bytes();
      if (reader.Is(3, WireType::kBytes)) metric.unit = reader.bytes();
      MetricKind kind = MetricKind::kNone;
      if (reader.Is(5, WireType::kBytes)) kind = MetricKind::kGauge;
      if (reader.Is(7, WireType::kBytes)) kind = MetricKind::kSum;
      if (reader.Is(9, WireType::kBytes)) kind = MetricKind::kHistogram;
      if (reader.Is(10, WireType::kBytes)) kind = MetricKind::kExponential;
      if (reader.Is(11, WireType::kBytes)) kind = MetricKind::kSummary;
      if (kind == MetricKind::kNone) continue;
      metric.kind = kind;
      NARTHEX_RETURN_IF_ERROR(ReadPoints(reader.bytes(), &metric));
    }
    request_->metrics.push_back(metric);
    return End(reader);
  }

  absl::Status ReadPoints(std::string_view message, Metric* metric) {
    metric->points.begin = request_->points.size();
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kBytes)) {
        const size_t index = request_->points.size() - metric->points.begin;
        NARTHEX_RETURN_IF_ERROR(At("data_points", index, ReadPoint(metric->kind, reader.bytes())));
      } else if (reader.Is(2, WireType::kVarint) && reader.number() <= 2) {
        metric->temporality = static_cast<Temporality>(reader.number());
      } else if (reader.Is(3, WireType::kVarint)) {
        metric->monotonic = reader.boolean();
      }
    }
    metric->points.end = request_->points.size();
    return End(reader);
  }

  absl::Status ReadPoint(MetricKind kind, std::string_view message) {
    Point point;
    uint32_t attributes = 7;
    uint32_t exemplars = 0;
    switch (kind) {
      case MetricKind::kGauge:
      case MetricKind::kSum:
        exemplars = 5;
        NARTHEX_RETURN_IF_ERROR(ReadNumber(message, &point));
        break;
      case MetricKind::kHistogram:
        attributes = 9;
        exemplars = 8;
        NARTHEX_RETURN_IF_ERROR(ReadHistogram(message, &point));
        break;
      case MetricKind::kExponential:
        attributes = 1;
        exemplars = 11;
        NARTHEX_RETURN_IF_ERROR(ReadExponential(message, &point));
        break;
      case MetricKind::kSummary:
      case MetricKind::kNone:
        NARTHEX_RETURN_IF_ERROR(ReadSummary(message, &point));
        break;
    }
    NARTHEX_RETURN_IF_ERROR(ReadAttributes(message, attributes, &point.attributes));
    point.exemplars.begin = point.exemplars.end = request_->exemplars.size();
    if (exemplars != 0) NARTHEX_RETURN_IF_ERROR(ReadExemplars(message, exemplars, &point));
    request_->points.push_back(point);
    return absl::OkStatus();
  }

  // What is the same in all kinds.
  static bool ReadTimes(ProtoReader& reader, Point* point) {
    if (reader.Is(2, WireType::kFixed64)) {
      point->start_ns = reader.number();
    } else if (reader.Is(3, WireType::kFixed64)) {
      point->time_ns = reader.number();
    } else {
      return false;
    }
    return true;
  }

  static absl::Status ReadNumber(std::string_view message, Point* point) {
    ProtoReader reader(message);
    while (reader.Next()) {
      if (ReadTimes(reader, point)) continue;
      if (reader.Is(4, WireType::kFixed64)) point->value = reader.real();
      if (reader.Is(6, WireType::kFixed64)) point->value = static_cast<double>(reader.int64());
      if (reader.Is(8, WireType::kVarint)) point->flags = static_cast<uint32_t>(reader.number());
    }
    return End(reader);
  }

  absl::Status ReadHistogram(std::string_view message, Point* point) {
    point->bucket_counts.begin = request_->counts.size();
    point->bounds.begin = request_->reals.size();
    ProtoReader reader(message);
    while (reader.Next()) {
      if (ReadTimes(reader, point)) continue;
      if (reader.Is(4, WireType::kFixed64)) point->count = reader.number();
      if (reader.Is(5, WireType::kFixed64)) {
        point->has_sum = true;
        point->sum = reader.real();
      }
      if (reader.field() == 6 && !remote::VisitFixed64(reader, [this](uint64_t count) {
            request_->counts.push_back(count);
          })) {
        return InvalidArgument("bucket_counts is malformed");
      }
      if (reader.field() == 7 && !remote::VisitFixed64(reader, [this](uint64_t bits) {
            request_->reals.push_back(std::bit_cast<double>(bits));
          })) {
        return InvalidArgument("explicit_bounds is malformed");
      }
      if (reader.Is(10, WireType::kVarint)) point->flags = static_cast<uint32_t>(reader.number());
    }
    point->bucket_counts.end = request_->counts.size();
    point->bounds.end = request_->reals.size();
    return End(reader);
  }

  absl::Status ReadExponential(std::string_view message, Point* point) {
    ProtoReader reader(message);
    while (reader.Next()) {
      if (ReadTimes(reader, point)) continue;
      if (reader.Is(4, WireType::kFixed64)) point->count = reader.number();
      if (reader.Is(5, WireType::kFixed64)) {
        point->has_sum = true;
        point->sum = reader.real();
      }
      if (reader.Is(6, WireType::kVarint)) point->scale = static_cast<int32_t>(reader.sint64());
      if (reader.Is(7, WireType::kFixed64)) point->zero_count = reader.number();
      if (reader.Is(8, WireType::kBytes)) {
        NARTHEX_RETURN_IF_ERROR(
            ReadBuckets(reader.bytes(), &point->positive_offset, &point->positive));
      }
      if (reader.Is(9, WireType::kBytes)) {
        NARTHEX_RETURN_IF_ERROR(
            ReadBuckets(reader.bytes(), &point->negative_offset, &point->negative));
      }
      if (reader.Is(10, WireType::kVarint)) point->flags = static_cast<uint32_t>(reader.number());
      if (reader.Is(14, WireType::kFixed64)) point->zero_threshold = reader.real();
    }
    return End(reader);
  }

  absl::Status ReadBuckets(std::string_view message, int32_t* offset, Range* range) {
    range->begin = request_->counts.size();
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kVarint)) *offset = static_cast<int32_t>(reader.sint64());
      if (reader.field() == 2 && !remote::VisitVarints(reader, [this](uint64_t count) {
            request_->counts.push_back(count);
          })) {
        return InvalidArgument("bucket_counts is malformed");
      }
    }
    range->end = request_->counts.size();
    return End(reader);
  }

  absl::Status ReadSummary(std::string_view message, Point* point) {
    point->quantiles.begin = request_->reals.size();
    point->has_sum = true;
    ProtoReader reader(message);
    while (reader.Next()) {
      if (ReadTimes(reader, point)) continue;
      if (reader.Is(4, WireType::kFixed64)) point->count = reader.number();
      if (reader.Is(5, WireType::kFixed64)) point->sum = reader.real();
      if (reader.Is(6, WireType::kBytes)) {
        double quantile = 0;
        double value = 0;
        ProtoReader pair(reader.bytes());
        while (pair.Next()) {
          if (pair.Is(1, WireType::kFixed64)) quantile = pair.real();
          if (pair.Is(2, WireType::kFixed64)) value = pair.real();
        }
        if (pair.failed()) return InvalidArgument("quantile_values is malformed");
        request_->reals.push_back(quantile);
        request_->reals.push_back(value);
      }
      if (reader.Is(8, WireType::kVarint)) point->flags = static_cast<uint32_t>(reader.number());
    }
    point->quantiles.end = request_->reals.size();
    return End(reader);
  }

  absl::Status ReadExemplars(std::string_view message, uint32_t field, Point* point) {
    ProtoReader reader(message);
    while (reader.Next()) {
      if (!reader.Is(field, WireType::kBytes)) continue;
      const size_t index = request_->exemplars.size() - point->exemplars.begin;
      NARTHEX_RETURN_IF_ERROR(At("exemplars", index, ReadExemplar(reader.bytes())));
    }
    point->exemplars.end = request_->exemplars.size();
    return End(reader);
  }

  absl::Status ReadExemplar(std::string_view message) {
    Exemplar exemplar;
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(2, WireType::kFixed64)) exemplar.time_ns = reader.number();
      if (reader.Is(3, WireType::kFixed64)) {
        exemplar.has_value = true;
        exemplar.value = reader.real();
      }
      if (reader.Is(6, WireType::kFixed64)) {
        exemplar.has_value = true;
        exemplar.value = static_cast<double>(reader.int64());
      }
      if (reader.Is(4, WireType::kBytes)) exemplar.span_id = reader.bytes();
      if (reader.Is(5, WireType::kBytes)) exemplar.trace_id = reader.bytes();
    }
    NARTHEX_RETURN_IF_ERROR(End(reader));
    NARTHEX_RETURN_IF_ERROR(ReadAttributes(message, 7, &exemplar.attributes));
    request_->exemplars.push_back(exemplar);
    return absl::OkStatus();
  }

  // The KeyValues of `message` that stand at `field`.
  absl::Status ReadAttributes(std::string_view message, uint32_t field, Range* range) {
    range->begin = request_->attributes.size();
    ProtoReader reader(message);
    while (reader.Next()) {
      if (!reader.Is(field, WireType::kBytes)) continue;
      const size_t index = request_->attributes.size() - range->begin;
      NARTHEX_RETURN_IF_ERROR(At("attributes", index, ReadAttribute(reader.bytes())));
    }
    range->end = request_->attributes.size();
    return End(reader);
  }

  absl::Status ReadAttribute(std::string_view message) {
    Attribute attribute;
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.Is(1, WireType::kBytes)) attribute.key = reader.bytes();
      if (reader.Is(2, WireType::kBytes)) {
        NARTHEX_RETURN_IF_ERROR(ReadValue(reader.bytes(), &attribute.value));
      }
    }
    request_->attributes.push_back(attribute);
    return End(reader);
  }

  absl::Status ReadValue(std::string_view message, std::string_view* text) {
    // Nearly all are strings, which stay where they are.
    ProtoReader reader(message);
    if (reader.Next() && reader.field() == 1 && reader.wire_type() == WireType::kBytes &&
        reader.rest().empty()) {
      *text = reader.bytes();
      return absl::OkStatus();
    }
    AnyValue value;
    NARTHEX_RETURN_IF_ERROR(ReadAnyValue(message, 0, &value));
    *text = request_->Keep(AnyValueText(value));
    return absl::OkStatus();
  }

  Request* const request_;
};

}  // namespace

void Request::Clear() {
  resources.clear();
  scopes.clear();
  metrics.clear();
  points.clear();
  exemplars.clear();
  attributes.clear();
  counts.clear();
  reals.clear();
  texts.clear();
}

absl::Status DecodeProtobuf(std::string_view message, Request* request) {
  request->Clear();
  return Decoder(request).Decode(message);
}

}  // namespace narthex::otlp
