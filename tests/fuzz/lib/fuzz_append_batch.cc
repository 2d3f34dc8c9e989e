// Any bytes as an append batch: what decodes is sound, and comes back from being written again.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/labels/labels.h"
#include "lib/model/histogram_coding.h"
#include "lib/storage/append_batch.h"

using narthex::storage::AppendBatch;
using narthex::storage::AppendBatchWriter;

namespace {

// Writes what belongs to sample `i`; the cursors are the entries of the samples before.
struct Cursors {
  size_t histogram = 0;
  size_t exemplar = 0;
  size_t metadata = 0;
};
void WriteEntries(const AppendBatch& batch, size_t i, Cursors* at, AppendBatchWriter* writer) {
  if (!batch.start_timestamps.empty()) writer->SetStartTimestamp(batch.start_timestamps[i]);
  if (at->histogram < batch.histograms.size() && batch.histograms[at->histogram].index == i) {
    const AppendBatch::HistogramEntry& entry = batch.histograms[at->histogram++];
    if (entry.is_float) {
      writer->SetHistogram(entry.float_histogram);
      (void)narthex::Validate(entry.float_histogram);
    } else {
      writer->SetHistogram(entry.histogram);
      (void)narthex::Validate(entry.histogram);
    }
  }
  for (; at->exemplar < batch.exemplars.size() && batch.exemplars[at->exemplar].index == i;
       ++at->exemplar) {
    const AppendBatch::ExemplarEntry& entry = batch.exemplars[at->exemplar];
    writer->AddExemplar({narthex::Labels::FromSorted(entry.labels), entry.timestamp, entry.value});
  }
  if (at->metadata < batch.metadata.size() && batch.metadata[at->metadata].index == i) {
    const AppendBatch::MetadataEntry& entry = batch.metadata[at->metadata++];
    writer->SetMetadata({entry.type, std::string(entry.help), std::string(entry.unit)});
  }
}

std::string Encoded(const AppendBatch::HistogramEntry& entry) {
  std::string out;
  if (entry.is_float) {
    narthex::EncodeFloatHistogram(entry.float_histogram, &out);
  } else {
    narthex::EncodeHistogram(entry.histogram, &out);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  AppendBatch batch;
  if (!narthex::storage::DecodeAppendBatch({reinterpret_cast<const char*>(data), size}, &batch)
           .ok()) {
    return 0;
  }
  narthex::storage::AppendBatchWriter writer;
  writer.Clear(batch.base_timestamp);
  size_t definition = 0;
  Cursors cursors;
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    if (batch.refs[i] != 0) {
      writer.Add(batch.refs[i], batch.timestamp(i), batch.values[i]);
      WriteEntries(batch, i, &cursors, &writer);
      continue;
    }
    const AppendBatch::Definition& defined = batch.definitions[definition++];
    writer.AddWithDefinition(defined.number, narthex::Labels::FromSorted(defined.labels),
                             batch.timestamp(i), batch.values[i]);
    WriteEntries(batch, i, &cursors, &writer);
  }
  const std::string written = writer.Finish();
  AppendBatch again;
  NARTHEX_CHECK_OK(narthex::storage::DecodeAppendBatch(written, &again));
  NARTHEX_CHECK(again.refs == batch.refs);
  NARTHEX_CHECK(again.definitions.size() == batch.definitions.size());
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    NARTHEX_CHECK(again.timestamp(i) == batch.timestamp(i));
    NARTHEX_CHECK(std::bit_cast<uint64_t>(again.values[i]) ==
                  std::bit_cast<uint64_t>(batch.values[i]));
    const narthex::Timestamp start = batch.start_timestamps.empty() ? 0 : batch.start_timestamps[i];
    NARTHEX_CHECK((again.start_timestamps.empty() ? 0 : again.start_timestamps[i]) == start);
  }
  NARTHEX_CHECK(again.histograms.size() == batch.histograms.size());
  for (size_t i = 0; i < batch.histograms.size(); ++i) {
    NARTHEX_CHECK(again.histograms[i].index == batch.histograms[i].index);
    NARTHEX_CHECK(Encoded(again.histograms[i]) == Encoded(batch.histograms[i]));
  }
  NARTHEX_CHECK(again.exemplars.size() == batch.exemplars.size());
  for (size_t i = 0; i < batch.exemplars.size(); ++i) {
    NARTHEX_CHECK(again.exemplars[i].index == batch.exemplars[i].index);
    NARTHEX_CHECK(again.exemplars[i].timestamp == batch.exemplars[i].timestamp);
    NARTHEX_CHECK(again.exemplars[i].labels == batch.exemplars[i].labels);
  }
  NARTHEX_CHECK(again.metadata.size() == batch.metadata.size());
  for (size_t i = 0; i < batch.metadata.size(); ++i) {
    NARTHEX_CHECK(again.metadata[i].index == batch.metadata[i].index);
    NARTHEX_CHECK(again.metadata[i].help == batch.metadata[i].help);
  }
  return 0;
}
