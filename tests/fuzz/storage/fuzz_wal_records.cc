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

void TrySamplesV2(std::string_view record) {
  std::vector<RefSample> samples;
  if (!DecodeSamples(record, &samples).ok() || samples.empty()) return;
  NARTHEX_CHECK(samples.size() <= record.size() / 10);
  SamplesV2Encoder encoder;
  for (const RefSample& sample : samples) encoder.Add(sample);
  std::vector<RefSample> again;
  NARTHEX_CHECK_OK(DecodeSamples(encoder.record(), &again));
  NARTHEX_CHECK(again.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    NARTHEX_CHECK(again[i].ref == samples[i].ref);
    NARTHEX_CHECK(again[i].timestamp == samples[i].timestamp);
    NARTHEX_CHECK(again[i].start_timestamp == samples[i].start_timestamp);
    NARTHEX_CHECK(std::bit_cast<uint64_t>(again[i].value) ==
                  std::bit_cast<uint64_t>(samples[i].value));
  }
}

// What was encoded once is encoded to the same again.
template <typename Entry, typename Encoder, typename Decode>
void TryHistograms(std::string_view record, bool v2, Decode decode) {
  std::vector<Entry> entries;
  uint64_t skipped = 0;
  if (!decode(record, &entries, &skipped).ok() || entries.empty()) return;
  NARTHEX_CHECK(entries.size() + skipped <= record.size());
  const auto encode = [&](Encoder* encoder, std::vector<std::string_view>* records) {
    for (const Entry& entry : entries) {
      encoder->Add(entry.ref, entry.timestamp, v2 ? entry.start_timestamp : 0, entry.histogram);
    }
    encoder->AppendRecords(records);
  };
  Encoder once(v2);
  std::vector<std::string_view> records;
  encode(&once, &records);
  std::vector<Entry> all;
  for (const std::string_view bytes : records) {
    NARTHEX_CHECK_OK(decode(bytes, &entries, &skipped));
    all.insert(all.end(), entries.begin(), entries.end());
  }
  if (records.size() > 1) return;  // The order of the two kinds is not kept.
  entries = all;
  Encoder twice(v2);
  std::vector<std::string_view> records_again;
  encode(&twice, &records_again);
  NARTHEX_CHECK(records == records_again);
}

void TryExemplars(std::string_view record) {
  ExemplarsRecord exemplars;
  if (!DecodeExemplars(record, &exemplars).ok() || exemplars.entries.empty()) return;
  ExemplarsEncoder encoder;
  for (const RefExemplar& exemplar : exemplars.entries) encoder.Add(exemplar);
  ExemplarsRecord again;
  NARTHEX_CHECK_OK(DecodeExemplars(encoder.record(), &again));
  NARTHEX_CHECK(again.entries.size() == exemplars.entries.size());
  NARTHEX_CHECK(again.labels == exemplars.labels);
}

void TryMetadata(std::string_view record) {
  std::vector<RefMetadata> metadata;
  if (!DecodeMetadata(record, &metadata).ok() || metadata.empty()) return;
  MetadataEncoder encoder;
  for (const RefMetadata& entry : metadata) encoder.Add(entry);
  std::vector<RefMetadata> again;
  NARTHEX_CHECK_OK(DecodeMetadata(encoder.record(), &again));
  NARTHEX_CHECK(again.size() == metadata.size());
  NARTHEX_CHECK(again.back().help == metadata.back().help);
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
    case RecordType::kTruncation: {
      Truncation truncation;
      if (!DecodeTruncation(record, &truncation).ok()) break;
      Truncation again;
      NARTHEX_CHECK_OK(DecodeTruncation(EncodeTruncation(truncation), &again));
      NARTHEX_CHECK(again == truncation);
      break;
    }
    case RecordType::kMmapMarkers: {
      std::vector<MmapMarker> markers;
      if (!DecodeMmapMarkers(record, &markers).ok()) break;
      NARTHEX_CHECK(EncodeMmapMarkers(markers) == record);
      break;
    }
    case RecordType::kSamplesV2:
      TrySamplesV2(record);
      break;
    case RecordType::kExemplars:
      TryExemplars(record);
      break;
    case RecordType::kMetadata:
      TryMetadata(record);
      break;
    case RecordType::kHistogramSamples:
    case RecordType::kCustomHistogramSamples:
      TryHistograms<RefHistogram, HistogramsEncoder>(record, false, &DecodeHistograms);
      break;
    case RecordType::kHistogramSamplesV2:
      TryHistograms<RefHistogram, HistogramsEncoder>(record, true, &DecodeHistograms);
      break;
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomFloatHistogramSamples:
      TryHistograms<RefFloatHistogram, FloatHistogramsEncoder>(record, false,
                                                               &DecodeFloatHistograms);
      break;
    case RecordType::kFloatHistogramSamplesV2:
      TryHistograms<RefFloatHistogram, FloatHistogramsEncoder>(record, true,
                                                               &DecodeFloatHistograms);
      break;
    case RecordType::kMinValidTime: {
      Timestamp min_time;
      DecodeMinValidTime(record, &min_time).IgnoreError();
      break;
    }
  }
}

}  // namespace
}  // namespace narthex::wal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) narthex::wal::TryRecord({reinterpret_cast<const char*>(data), size});
  return 0;
}
