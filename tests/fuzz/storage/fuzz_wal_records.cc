// Any bytes as a record: decoders stay within them, and what they accept is encoded to something
// that decodes to the same.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "services/storage/tsdb/wal/records.h"

namespace narthex::wal {
namespace {

void TrySeries(std::string_view record) {
  SeriesRecord series;
  if (!DecodeSeries(record, &series).ok()) return;
  SeriesEncoder encoder;
  for (const SeriesRecord::Entry& entry : series.entries) {
    encoder.Add(entry.ref, series.LabelsOf(entry));
  }
  if (encoder.empty()) return;
  SeriesRecord again;
  NARTHEX_CHECK_OK(DecodeSeries(encoder.record(), &again));
  NARTHEX_CHECK(again.labels == series.labels);
  NARTHEX_CHECK(again.entries.size() == series.entries.size());
}

void TrySamples(std::string_view record) {
  std::vector<RefSample> samples;
  if (!DecodeSamples(record, &samples).ok() || samples.empty()) return;
  NARTHEX_CHECK(samples.size() <= record.size() / 10);
  SamplesEncoder encoder;
  encoder.Reserve(samples.size());
  for (const RefSample& sample : samples) {
    encoder.Add(sample.ref, sample.timestamp, sample.value);
  }
  std::vector<RefSample> again;
  NARTHEX_CHECK_OK(DecodeSamples(encoder.record(), &again));
  NARTHEX_CHECK(again.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    NARTHEX_CHECK(again[i].ref == samples[i].ref);
    NARTHEX_CHECK(again[i].timestamp == samples[i].timestamp);
    NARTHEX_CHECK(std::bit_cast<uint64_t>(again[i].value) ==
                  std::bit_cast<uint64_t>(samples[i].value));
  }
}

void TryRecord(std::string_view record) {
  switch (TypeOfRecord(record)) {
    case RecordType::kSeries:
      TrySeries(record);
      break;
    case RecordType::kSamples:
      TrySamples(record);
      break;
    case RecordType::kTombstones: {
      std::vector<Tombstone> tombstones;
      if (!DecodeTombstones(record, &tombstones).ok()) break;
      std::vector<Tombstone> again;
      NARTHEX_CHECK_OK(DecodeTombstones(EncodeTombstones(tombstones), &again));
      NARTHEX_CHECK(again == tombstones);
      break;
    }
    case RecordType::kSegmentMarker: {
      SegmentMarker marker;
      if (!DecodeSegmentMarker(record, &marker).ok()) break;
      SegmentMarker again;
      NARTHEX_CHECK_OK(DecodeSegmentMarker(EncodeSegmentMarker(marker), &again));
      NARTHEX_CHECK(again.next_reference == marker.next_reference);
      break;
    }
    case RecordType::kBatch: {
      BatchHeader header;
      if (!DecodeBatchHeader(record, &header).ok()) break;
      std::string encoded;
      EncodeBatchHeader(header, &encoded);
      BatchHeader again;
      NARTHEX_CHECK_OK(DecodeBatchHeader(encoded, &again));
      NARTHEX_CHECK(again.sender == header.sender && again.sequence == header.sequence);
      break;
    }
    case RecordType::kExemplars:
    case RecordType::kMmapMarkers:
    case RecordType::kMetadata:
    case RecordType::kHistogramSamples:
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomHistogramSamples:
    case RecordType::kCustomFloatHistogramSamples:
    case RecordType::kSamplesV2:
    case RecordType::kHistogramSamplesV2:
    case RecordType::kFloatHistogramSamplesV2:
    case RecordType::kMinValidTime:
    case RecordType::kTruncation:
      break;
  }
}

}  // namespace
}  // namespace narthex::wal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) narthex::wal::TryRecord({reinterpret_cast<const char*>(data), size});
  return 0;
}
