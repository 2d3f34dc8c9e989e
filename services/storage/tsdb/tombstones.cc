#include "services/storage/tsdb/tombstones.h"

#include <algorithm>
#include <limits>

#include "lib/base/coding.h"
#include "lib/base/crc32c.h"
#include "lib/base/strings.h"

// The file (tombstones.md): u32 magic, u8 version, entries (uv series, sv min_time, sv max_time),
// u32 CRC-32C of the entries alone.
namespace narthex::tsdb {
namespace {

constexpr uint32_t kMagic = 0x0130BA30;
constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderSize = 5;
constexpr size_t kChecksumSize = 4;

// Whether `later` begins so late that a millisecond or more lies between the two.
bool Apart(Timestamp earlier_max, Timestamp later_min) {
  return earlier_max < later_min && earlier_max + 1 < later_min;
}

}  // namespace

void AddInterval(std::vector<storage::DeletedInterval>* intervals,
                 storage::DeletedInterval interval) {
  const auto first = std::partition_point(intervals->begin(), intervals->end(),
                                          [&](const storage::DeletedInterval& present) {
                                            return Apart(present.max_time, interval.min_time);
                                          });
  auto last = first;
  for (; last != intervals->end() && !Apart(interval.max_time, last->min_time); ++last) {
    interval.min_time = std::min(interval.min_time, last->min_time);
    interval.max_time = std::max(interval.max_time, last->max_time);
  }
  if (first == last) {
    intervals->insert(first, interval);
    return;
  }
  *first = interval;
  intervals->erase(first + 1, last);
}

bool CoveredBy(const std::vector<storage::DeletedInterval>& intervals, Timestamp min_time,
               Timestamp max_time) {
  return std::any_of(intervals.begin(), intervals.end(),
                     [&](const storage::DeletedInterval& interval) {
                       return interval.min_time <= min_time && max_time <= interval.max_time;
                     });
}

void Tombstones::Add(uint64_t series, storage::DeletedInterval interval) {
  AddInterval(&by_series_[series], interval);
}

const std::vector<storage::DeletedInterval>& Tombstones::Of(uint64_t series) const {
  static const std::vector<storage::DeletedInterval>* const kNone =
      new std::vector<storage::DeletedInterval>();
  const auto found = by_series_.find(series);
  return found == by_series_.end() ? *kNone : found->second;
}

uint64_t Tombstones::size() const {
  uint64_t size = 0;
  for (const auto& [series, intervals] : by_series_) size += intervals.size();
  return size;
}

std::string EncodeTombstones(const Tombstones& tombstones) {
  std::string bytes;
  AppendBig(&bytes, kMagic);
  bytes.push_back(static_cast<char>(kVersion));
  for (const auto& [series, intervals] : tombstones.all()) {
    for (const storage::DeletedInterval& interval : intervals) {
      AppendUvarint(&bytes, series);
      AppendVarint(&bytes, interval.min_time);
      AppendVarint(&bytes, interval.max_time);
    }
  }
  AppendBig(&bytes, Crc32c(std::string_view(bytes).substr(kHeaderSize)));
  return bytes;
}

absl::StatusOr<Tombstones> DecodeTombstones(std::string_view bytes) {
  if (bytes.size() < kHeaderSize + kChecksumSize) {
    return DataLoss("tombstones: ", bytes.size(), " bytes are too few");
  }
  if (LoadBig<uint32_t>(bytes.data()) != kMagic) return DataLoss("tombstones: wrong magic number");
  const uint8_t version = static_cast<uint8_t>(bytes[4]);
  if (version != kVersion) return DataLoss("tombstones: unknown version ", version);
  const std::string_view entries =
      bytes.substr(kHeaderSize, bytes.size() - kHeaderSize - kChecksumSize);
  if (Crc32c(entries) != LoadBig<uint32_t>(entries.data() + entries.size())) {
    return DataLoss("tombstones: checksum mismatch");
  }
  Tombstones tombstones;
  ByteReader reader(entries);
  while (!reader.done()) {
    const size_t offset = kHeaderSize + reader.offset();
    uint64_t series;
    storage::DeletedInterval interval;
    if (!reader.ReadUvarint(&series) || !reader.ReadVarint(&interval.min_time) ||
        !reader.ReadVarint(&interval.max_time) || interval.max_time < interval.min_time) {
      return DataLoss("tombstones: offset ", offset, ": malformed entry");
    }
    tombstones.Add(series, interval);
  }
  return tombstones;
}

}  // namespace narthex::tsdb
