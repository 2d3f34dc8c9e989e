// The same messages in Protocol Buffers' JSON, as OTLP says it: names in lowerCamelCase (the
// original ones are taken too), 64-bit numbers as text or numbers, enumerations as numbers or
// names, trace and span ids in hexadecimal, bytes in base64.
#include <cmath>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/json/reader.h"
#include "services/storage/remote/otlp/any_value.h"
#include "services/storage/remote/otlp/request.h"

namespace narthex::otlp {
namespace {

using json::Value;

absl::Status At(std::string_view list, size_t index, const absl::Status& status) {
  return status.ok() ? status : Annotate(status, StrCat(list, "[", index, "]"));
}

std::string SnakeCase(std::string_view camel) {
  std::string snake;
  for (const char c : camel) {
    if (c >= 'A' && c <= 'Z') {
      snake.push_back('_');
      snake.push_back(static_cast<char>(c - 'A' + 'a'));
    } else {
      snake.push_back(c);
    }
  }
  return snake;
}

// A member; null when it is absent or null.
const Value* Find(const Value& object, std::string_view name) {
  const Value* found = object.Find(name);
  if (found == nullptr) found = object.Find(SnakeCase(name));
  return found == nullptr || found->is_null() ? nullptr : found;
}

absl::Status Wrong(std::string_view name, std::string_view wanted) {
  return InvalidArgument(name, ": ", wanted, " is wanted");
}

// The readers leave *out alone when the member is absent.
absl::Status ReadText(const Value& object, std::string_view name, Request* request,
                      std::string_view* out) {
  const Value* const value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_string()) return Wrong(name, "a string");
  *out = request->Keep(value->text);
  return absl::OkStatus();
}

bool RealOf(const Value& value, double* out) {
  if (value.is_number()) {
    *out = value.number;
    return true;
  }
  if (!value.is_string()) return false;
  if (value.text == "Infinity" || value.text == "-Infinity") {
    *out = value.text[0] == '-' ? -INFINITY : INFINITY;
    return true;
  }
  return ParseDouble(value.text, out);
}

// 64-bit numbers come as text; as numbers they are exact up to 2^53.
bool UnsignedOf(const Value& value, uint64_t* out) {
  if (value.is_string()) return ParseUint64(value.text, out);
  constexpr double kEnd = 18446744073709551616.0;
  if (!value.is_number() || !(value.number >= 0) || value.number >= kEnd ||
      value.number != std::floor(value.number)) {
    return false;
  }
  *out = static_cast<uint64_t>(value.number);
  return true;
}
bool SignedOf(const Value& value, int64_t* out) {
  if (value.is_string()) return ParseInt64(value.text, out);
  constexpr double kEnd = 9223372036854775808.0;
  if (!value.is_number() || !(value.number >= -kEnd) || value.number >= kEnd ||
      value.number != std::floor(value.number)) {
    return false;
  }
  *out = static_cast<int64_t>(value.number);
  return true;
}

absl::Status ReadReal(const Value& object, std::string_view name, double* out, bool* given) {
  const Value* const value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  if (given != nullptr) *given = true;
  return RealOf(*value, out) ? absl::OkStatus() : Wrong(name, "a number");
}
absl::Status ReadUnsigned(const Value& object, std::string_view name, uint64_t* out) {
  const Value* const value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  return UnsignedOf(*value, out) ? absl::OkStatus() : Wrong(name, "an unsigned integer");
}
absl::Status ReadInt32(const Value& object, std::string_view name, int32_t* out) {
  const Value* const value = Find(object, name);
  if (value == nullptr) return absl::OkStatus();
  int64_t number;
  if (!SignedOf(*value, &number) || number != static_cast<int32_t>(number)) {
    return Wrong(name, "an integer of 32 bits");
  }
  *out = static_cast<int32_t>(number);
  return absl::OkStatus();
}

// Calls `read` with each element of a list.
template <typename Read>
absl::Status ReadList(const Value& object, std::string_view name, Read read) {
  const Value* const list = Find(object, name);
  if (list == nullptr) return absl::OkStatus();
  if (!list->is_array()) return Wrong(name, "a list");
  for (size_t i = 0; i < list->array.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(At(name, i, read(list->array[i])));
  }
  return absl::OkStatus();
}
template <typename Read>
absl::Status ReadObjects(const Value& object, std::string_view name, Read read) {
  return ReadList(object, name, [&](const Value& element) {
    return element.is_object() ? read(element) : InvalidArgument("an object is wanted");
  });
}

absl::Status ReadAnyValue(const Value& object, int depth, AnyValue* out);

absl::Status ReadNested(const Value& value, int depth, AnyValue* out) {
  return ReadObjects(value, "values", [&](const Value& element) {
    if (out->kind == AnyValue::Kind::kList) {
      return ReadAnyValue(element, depth + 1, &out->list.emplace_back());
    }
    AnyValue::Member& member = out->map.emplace_back();
    if (const Value* const key = Find(element, "key"); key != nullptr) member.key = key->text;
    const Value* const inner = Find(element, "value");
    return inner == nullptr ? absl::OkStatus() : ReadAnyValue(*inner, depth + 1, &member.value);
  });
}

absl::Status ReadAnyValue(const Value& object, int depth, AnyValue* out) {
  if (depth > kAnyValueDepthMax) return InvalidArgument("values are nested too deeply");
  if (!object.is_object()) return InvalidArgument("value: an object is wanted");
  if (const Value* const text = Find(object, "stringValue"); text != nullptr) {
    out->kind = AnyValue::Kind::kString;
    out->text = text->text;
    return text->is_string() ? absl::OkStatus() : Wrong("stringValue", "a string");
  }
  if (const Value* const boolean = Find(object, "boolValue"); boolean != nullptr) {
    out->kind = AnyValue::Kind::kBool;
    out->boolean = boolean->boolean;
    return boolean->is_bool() ? absl::OkStatus() : Wrong("boolValue", "true or false");
  }
  if (const Value* const integer = Find(object, "intValue"); integer != nullptr) {
    out->kind = AnyValue::Kind::kInt;
    return SignedOf(*integer, &out->integer) ? absl::OkStatus() : Wrong("intValue", "an integer");
  }
  if (const Value* const real = Find(object, "doubleValue"); real != nullptr) {
    out->kind = AnyValue::Kind::kDouble;
    return RealOf(*real, &out->real) ? absl::OkStatus() : Wrong("doubleValue", "a number");
  }
  if (const Value* const bytes = Find(object, "bytesValue"); bytes != nullptr) {
    out->kind = AnyValue::Kind::kBytes;
    out->text = bytes->text;
    return bytes->is_string() ? absl::OkStatus() : Wrong("bytesValue", "a string");
  }
  if (const Value* const list = Find(object, "arrayValue"); list != nullptr) {
    out->kind = AnyValue::Kind::kList;
    return ReadNested(*list, depth, out);
  }
  if (const Value* const map = Find(object, "kvlistValue"); map != nullptr) {
    out->kind = AnyValue::Kind::kMap;
    return ReadNested(*map, depth, out);
  }
  return absl::OkStatus();
}

bool Unhex(std::string_view text, std::string* bytes) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes->push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

class Decoder {
 public:
  explicit Decoder(Request* request) : request_(request) {}

  absl::Status Decode(const Value& document) {
    if (!document.is_object()) return InvalidArgument("an object is wanted");
    return ReadObjects(document, "resourceMetrics",
                       [this](const Value& value) { return ReadResource(value); });
  }

 private:
  absl::Status ReadResource(const Value& value) {
    Resource resource;
    if (const Value* const inner = Find(value, "resource"); inner != nullptr) {
      NARTHEX_RETURN_IF_ERROR(
          Annotate(ReadAttributes(*inner, "attributes", &resource.attributes), "resource"));
    }
    resource.scopes.begin = request_->scopes.size();
    NARTHEX_RETURN_IF_ERROR(ReadObjects(value, "scopeMetrics",
                                        [this](const Value& scope) { return ReadScope(scope); }));
    resource.scopes.end = request_->scopes.size();
    request_->resources.push_back(resource);
    return absl::OkStatus();
  }

  absl::Status ReadScope(const Value& value) {
    Scope scope;
    if (const Value* const inner = Find(value, "scope"); inner != nullptr) {
      NARTHEX_RETURN_IF_ERROR(ReadText(*inner, "name", request_, &scope.name));
      NARTHEX_RETURN_IF_ERROR(ReadText(*inner, "version", request_, &scope.version));
      NARTHEX_RETURN_IF_ERROR(
          Annotate(ReadAttributes(*inner, "attributes", &scope.attributes), "scope"));
    }
    NARTHEX_RETURN_IF_ERROR(ReadText(value, "schemaUrl", request_, &scope.schema_url));
    scope.metrics.begin = request_->metrics.size();
    NARTHEX_RETURN_IF_ERROR(
        ReadObjects(value, "metrics", [this](const Value& metric) { return ReadMetric(metric); }));
    scope.metrics.end = request_->metrics.size();
    request_->scopes.push_back(scope);
    return absl::OkStatus();
  }

  absl::Status ReadMetric(const Value& value) {
    Metric metric;
    NARTHEX_RETURN_IF_ERROR(ReadText(value, "name", request_, &metric.name));
    NARTHEX_RETURN_IF_ERROR(ReadText(value, "description", request_, &metric.description));
    NARTHEX_RETURN_IF_ERROR(ReadText(value, "unit", request_, &metric.unit));
    constexpr std::pair<std::string_view, MetricKind> kKinds[] = {
        {"gauge", MetricKind::kGauge},         {"sum", MetricKind::kSum},
        {"histogram", MetricKind::kHistogram}, {"exponentialHistogram", MetricKind::kExponential},
        {"summary", MetricKind::kSummary},
    };
    for (const auto& [name, kind] : kKinds) {
      const Value* const points = Find(value, name);
      if (points == nullptr) continue;
      if (!points->is_object()) return Wrong(name, "an object");
      metric.kind = kind;
      NARTHEX_RETURN_IF_ERROR(Annotate(ReadPoints(*points, &metric), name));
    }
    request_->metrics.push_back(metric);
    return absl::OkStatus();
  }

  absl::Status ReadPoints(const Value& value, Metric* metric) {
    if (const Value* const temporality = Find(value, "aggregationTemporality");
        temporality != nullptr) {
      NARTHEX_RETURN_IF_ERROR(ReadTemporality(*temporality, &metric->temporality));
    }
    if (const Value* const monotonic = Find(value, "isMonotonic"); monotonic != nullptr) {
      if (!monotonic->is_bool()) return Wrong("isMonotonic", "true or false");
      metric->monotonic = monotonic->boolean;
    }
    metric->points.begin = request_->points.size();
    const MetricKind kind = metric->kind;
    NARTHEX_RETURN_IF_ERROR(ReadObjects(
        value, "dataPoints", [this, kind](const Value& point) { return ReadPoint(kind, point); }));
    metric->points.end = request_->points.size();
    return absl::OkStatus();
  }

  static absl::Status ReadTemporality(const Value& value, Temporality* out) {
    if (value.is_string()) {
      if (value.text == "AGGREGATION_TEMPORALITY_DELTA") *out = Temporality::kDelta;
      if (value.text == "AGGREGATION_TEMPORALITY_CUMULATIVE") *out = Temporality::kCumulative;
      return absl::OkStatus();
    }
    if (!value.is_number()) return Wrong("aggregationTemporality", "a number or a name");
    if (value.number == 1) *out = Temporality::kDelta;
    if (value.number == 2) *out = Temporality::kCumulative;
    return absl::OkStatus();
  }

  absl::Status ReadPoint(MetricKind kind, const Value& value) {
    Point point;
    uint64_t flags = 0;
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "startTimeUnixNano", &point.start_ns));
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "timeUnixNano", &point.time_ns));
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "flags", &flags));
    point.flags = static_cast<uint32_t>(flags);
    NARTHEX_RETURN_IF_ERROR(ReadAttributes(value, "attributes", &point.attributes));
    switch (kind) {
      case MetricKind::kGauge:
      case MetricKind::kSum:
        NARTHEX_RETURN_IF_ERROR(ReadNumber(value, &point.value, nullptr));
        break;
      case MetricKind::kHistogram:
        NARTHEX_RETURN_IF_ERROR(ReadHistogram(value, &point));
        break;
      case MetricKind::kExponential:
        NARTHEX_RETURN_IF_ERROR(ReadExponential(value, &point));
        break;
      case MetricKind::kSummary:
      case MetricKind::kNone:
        NARTHEX_RETURN_IF_ERROR(ReadSummary(value, &point));
        break;
    }
    point.exemplars.begin = request_->exemplars.size();
    NARTHEX_RETURN_IF_ERROR(ReadObjects(
        value, "exemplars", [this](const Value& exemplar) { return ReadExemplar(exemplar); }));
    point.exemplars.end = request_->exemplars.size();
    request_->points.push_back(point);
    return absl::OkStatus();
  }

  static absl::Status ReadNumber(const Value& value, double* out, bool* given) {
    NARTHEX_RETURN_IF_ERROR(ReadReal(value, "asDouble", out, given));
    const Value* const integer = Find(value, "asInt");
    if (integer == nullptr) return absl::OkStatus();
    int64_t number;
    if (!SignedOf(*integer, &number)) return Wrong("asInt", "an integer");
    *out = static_cast<double>(number);
    if (given != nullptr) *given = true;
    return absl::OkStatus();
  }

  absl::Status ReadCounts(const Value& value, Range* range) {
    range->begin = request_->counts.size();
    NARTHEX_RETURN_IF_ERROR(ReadList(value, "bucketCounts", [this](const Value& count) {
      return UnsignedOf(count, &request_->counts.emplace_back())
                 ? absl::OkStatus()
                 : InvalidArgument("an unsigned integer is wanted");
    }));
    range->end = request_->counts.size();
    return absl::OkStatus();
  }

  absl::Status ReadHistogram(const Value& value, Point* point) {
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "count", &point->count));
    NARTHEX_RETURN_IF_ERROR(ReadReal(value, "sum", &point->sum, &point->has_sum));
    NARTHEX_RETURN_IF_ERROR(ReadCounts(value, &point->bucket_counts));
    point->bounds.begin = request_->reals.size();
    NARTHEX_RETURN_IF_ERROR(ReadList(value, "explicitBounds", [this](const Value& bound) {
      return RealOf(bound, &request_->reals.emplace_back()) ? absl::OkStatus()
                                                            : InvalidArgument("a number is wanted");
    }));
    point->bounds.end = request_->reals.size();
    return absl::OkStatus();
  }

  absl::Status ReadExponential(const Value& value, Point* point) {
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "count", &point->count));
    NARTHEX_RETURN_IF_ERROR(ReadReal(value, "sum", &point->sum, &point->has_sum));
    NARTHEX_RETURN_IF_ERROR(ReadInt32(value, "scale", &point->scale));
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "zeroCount", &point->zero_count));
    NARTHEX_RETURN_IF_ERROR(ReadReal(value, "zeroThreshold", &point->zero_threshold, nullptr));
    if (const Value* const buckets = Find(value, "positive"); buckets != nullptr) {
      NARTHEX_RETURN_IF_ERROR(ReadInt32(*buckets, "offset", &point->positive_offset));
      NARTHEX_RETURN_IF_ERROR(ReadCounts(*buckets, &point->positive));
    }
    if (const Value* const buckets = Find(value, "negative"); buckets != nullptr) {
      NARTHEX_RETURN_IF_ERROR(ReadInt32(*buckets, "offset", &point->negative_offset));
      NARTHEX_RETURN_IF_ERROR(ReadCounts(*buckets, &point->negative));
    }
    return absl::OkStatus();
  }

  absl::Status ReadSummary(const Value& value, Point* point) {
    point->has_sum = true;
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "count", &point->count));
    NARTHEX_RETURN_IF_ERROR(ReadReal(value, "sum", &point->sum, nullptr));
    point->quantiles.begin = request_->reals.size();
    const absl::Status read = ReadObjects(value, "quantileValues", [this](const Value& pair) {
      double quantile = 0;
      double real = 0;
      NARTHEX_RETURN_IF_ERROR(ReadReal(pair, "quantile", &quantile, nullptr));
      NARTHEX_RETURN_IF_ERROR(ReadReal(pair, "value", &real, nullptr));
      request_->reals.push_back(quantile);
      request_->reals.push_back(real);
      return absl::OkStatus();
    });
    NARTHEX_RETURN_IF_ERROR(read);
    point->quantiles.end = request_->reals.size();
    return absl::OkStatus();
  }

  absl::Status ReadId(const Value& value, std::string_view name, std::string_view* out) {
    const Value* const id = Find(value, name);
    if (id == nullptr) return absl::OkStatus();
    std::string bytes;
    if (!id->is_string() || !Unhex(id->text, &bytes)) return Wrong(name, "hexadecimal text");
    *out = request_->Keep(std::move(bytes));
    return absl::OkStatus();
  }

  absl::Status ReadExemplar(const Value& value) {
    Exemplar exemplar;
    NARTHEX_RETURN_IF_ERROR(ReadUnsigned(value, "timeUnixNano", &exemplar.time_ns));
    NARTHEX_RETURN_IF_ERROR(ReadNumber(value, &exemplar.value, &exemplar.has_value));
    NARTHEX_RETURN_IF_ERROR(ReadId(value, "traceId", &exemplar.trace_id));
    NARTHEX_RETURN_IF_ERROR(ReadId(value, "spanId", &exemplar.span_id));
    NARTHEX_RETURN_IF_ERROR(ReadAttributes(value, "filteredAttributes", &exemplar.attributes));
    request_->exemplars.push_back(exemplar);
    return absl::OkStatus();
  }

  absl::Status ReadAttributes(const Value& value, std::string_view name, Range* range) {
    range->begin = request_->attributes.size();
    const absl::Status read = ReadObjects(value, name, [this](const Value& pair) {
      Attribute attribute;
      NARTHEX_RETURN_IF_ERROR(ReadText(pair, "key", request_, &attribute.key));
      if (const Value* const inner = Find(pair, "value"); inner != nullptr) {
        AnyValue any;
        NARTHEX_RETURN_IF_ERROR(ReadAnyValue(*inner, 0, &any));
        attribute.value = request_->Keep(AnyValueText(any));
      }
      request_->attributes.push_back(attribute);
      return absl::OkStatus();
    });
    NARTHEX_RETURN_IF_ERROR(read);
    range->end = request_->attributes.size();
    return absl::OkStatus();
  }

  Request* const request_;
};

}  // namespace

absl::Status DecodeJson(std::string_view message, Request* request) {
  request->Clear();
  NARTHEX_ASSIGN_OR_RETURN(const Value document, json::Parse(message));
  return Decoder(request).Decode(document);
}

}  // namespace narthex::otlp
