// "NXPG", version (1 byte), CRC-32C of the rest (4 bytes, little-endian), then the groups; see
// format.md.
#include "services/pushgateway/snapshot.h"

#include <algorithm>
#include <bit>
#include <set>
#include <utility>

#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/strings.h"

namespace narthex::pushgateway {
namespace {

constexpr std::string_view kMagic = "NXPG";
constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderBytes = 9;
constexpr uint8_t kHasSampleCount = 1;
constexpr uint8_t kHasSampleSum = 2;

void AppendDouble(std::string* out, double value) {
  AppendLittle(out, std::bit_cast<uint64_t>(value));
}

bool ReadDouble(ByteReader* in, double* value) {
  uint64_t bits = 0;
  if (!in->ReadLittle(&bits)) return false;
  *value = std::bit_cast<double>(bits);
  return true;
}

bool ReadString(ByteReader* in, std::string* text) {
  std::string_view bytes;
  if (!in->ReadLengthPrefixed(&bytes)) return false;
  *text = std::string(bytes);
  return true;
}

template <typename Pairs>
void AppendPairs(std::string* out, const Pairs& pairs) {
  AppendUvarint(out, pairs.size());
  for (const auto& pair : pairs) {
    AppendLengthPrefixed(out, pair.first);
    AppendLengthPrefixed(out, pair.second);
  }
}

bool ReadPairs(ByteReader* in, LabelPairs* pairs) {
  uint64_t count = 0;
  if (!in->ReadUvarint(&count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    auto& pair = pairs->emplace_back();
    if (!ReadString(in, &pair.first) || !ReadString(in, &pair.second)) return false;
  }
  return true;
}

void AppendMetric(std::string* out, FamilyType type, const Metric& metric) {
  AppendPairs(out, metric.labels);
  if (type != FamilyType::kSummary && type != FamilyType::kHistogram) {
    return AppendDouble(out, metric.value);
  }
  out->push_back(static_cast<char>((metric.sample_count ? kHasSampleCount : 0) |
                                   (metric.sample_sum ? kHasSampleSum : 0)));
  if (metric.sample_count) AppendUvarint(out, *metric.sample_count);
  if (metric.sample_sum) AppendDouble(out, *metric.sample_sum);
  AppendUvarint(out, metric.quantiles.size());
  for (const Quantile& quantile : metric.quantiles) {
    AppendDouble(out, quantile.quantile);
    AppendDouble(out, quantile.value);
  }
  AppendUvarint(out, metric.buckets.size());
  for (const Bucket& bucket : metric.buckets) {
    AppendDouble(out, bucket.upper_bound);
    AppendUvarint(out, bucket.cumulative_count);
  }
}

bool ReadMetric(ByteReader* in, FamilyType type, Metric* metric) {
  if (!ReadPairs(in, &metric->labels)) return false;
  if (type != FamilyType::kSummary && type != FamilyType::kHistogram) {
    return ReadDouble(in, &metric->value);
  }
  uint8_t flags = 0;
  uint64_t count = 0;
  if (!in->ReadByte(&flags)) return false;
  if ((flags & kHasSampleCount) != 0 && !in->ReadUvarint(&metric->sample_count.emplace())) {
    return false;
  }
  if ((flags & kHasSampleSum) != 0 && !ReadDouble(in, &metric->sample_sum.emplace())) return false;
  if (!in->ReadUvarint(&count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    Quantile& quantile = metric->quantiles.emplace_back();
    if (!ReadDouble(in, &quantile.quantile) || !ReadDouble(in, &quantile.value)) return false;
  }
  if (!in->ReadUvarint(&count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    Bucket& bucket = metric->buckets.emplace_back();
    if (!ReadDouble(in, &bucket.upper_bound) || !in->ReadUvarint(&bucket.cumulative_count)) {
      return false;
    }
  }
  return true;
}

bool ReadFamily(ByteReader* in, Group* group) {
  MetricFamily family;
  uint8_t type = 0;
  int64_t pushed_ns = 0;
  uint64_t metrics = 0;
  if (!ReadString(in, &family.name) || !ReadString(in, &family.help) || !in->ReadByte(&type) ||
      type > static_cast<uint8_t>(FamilyType::kHistogram) || !in->ReadVarint(&pushed_ns) ||
      !in->ReadUvarint(&metrics)) {
    return false;
  }
  family.type = static_cast<FamilyType>(type);
  for (uint64_t i = 0; i < metrics; ++i) {
    if (!ReadMetric(in, family.type, &family.metrics.emplace_back())) return false;
  }
  // The store reads the value of its own gauges.
  if (family.metrics.empty() || family.name.empty()) return false;
  const std::string name = family.name;
  return group->families
      .try_emplace(name, StoredFamily{std::make_shared<const MetricFamily>(std::move(family)),
                                      absl::FromUnixNanos(pushed_ns)})
      .second;
}

bool ReadGroup(ByteReader* in, Group* group) {
  LabelPairs labels;
  uint64_t families = 0;
  if (!ReadPairs(in, &labels) || !in->ReadUvarint(&families)) return false;
  group->key = GroupingKey(labels.begin(), labels.end());
  if (!ValidateGroupingKey(group->key).ok()) return false;
  for (uint64_t i = 0; i < families; ++i) {
    if (!ReadFamily(in, group)) return false;
  }
  return !group->families.empty();
}

}  // namespace

std::string EncodeSnapshot(std::vector<Group> groups) {
  std::sort(groups.begin(), groups.end(),
            [](const Group& a, const Group& b) { return a.number < b.number; });
  std::string payload;
  AppendUvarint(&payload, groups.size());
  for (const Group& group : groups) {
    AppendPairs(&payload, group.key);
    AppendUvarint(&payload, group.families.size());
    for (const auto& [name, stored] : group.families) {
      AppendLengthPrefixed(&payload, name);
      AppendLengthPrefixed(&payload, stored.family->help);
      payload.push_back(static_cast<char>(stored.family->type));
      AppendVarint(&payload, absl::ToUnixNanos(stored.pushed));
      AppendUvarint(&payload, stored.family->metrics.size());
      for (const Metric& metric : stored.family->metrics) {
        AppendMetric(&payload, stored.family->type, metric);
      }
    }
  }
  std::string out(kMagic);
  out.push_back(static_cast<char>(kVersion));
  AppendLittle(&out, Crc32c(payload));
  out += payload;
  return out;
}

absl::StatusOr<std::vector<Group>> DecodeSnapshot(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return DataLoss("not a pushgateway snapshot");
  if (bytes.size() < kHeaderBytes) return DataLoss("the file is cut short");
  const auto version = static_cast<uint8_t>(bytes[kMagic.size()]);
  if (version != kVersion) return DataLoss("unknown version ", version);
  const auto checksum = LoadLittle<uint32_t>(bytes.data() + kMagic.size() + 1);
  ByteReader in(bytes.substr(kHeaderBytes));
  if (Crc32c(in.rest()) != checksum) return DataLoss("checksum mismatch");
  uint64_t count = 0;
  bool good = in.ReadUvarint(&count);
  std::vector<Group> groups;
  std::set<GroupingKey> keys;
  for (uint64_t i = 0; good && i < count; ++i) {
    Group& group = groups.emplace_back();
    group.number = i;
    good = ReadGroup(&in, &group) && keys.insert(group.key).second;
  }
  if (!good || !in.done()) {
    return DataLoss("malformed content at offset ", kHeaderBytes + in.offset());
  }
  return groups;
}

}  // namespace narthex::pushgateway
