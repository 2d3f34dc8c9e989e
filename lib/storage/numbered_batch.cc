#include "lib/storage/numbered_batch.h"

#include "lib/base/check.h"

namespace narthex::storage {
namespace {

template <typename Entry>
size_t Skip(const std::vector<Entry>& entries, size_t at, size_t index) {
  while (at < entries.size() && entries[at].index < index) ++at;
  return at;
}

size_t BytesOf(const Labels& labels) {
  size_t bytes = 0;
  for (const LabelView label : labels) bytes += label.name.size() + label.value.size();
  return bytes;
}

size_t BytesOf(const Histogram& histogram) {
  return sizeof(HistogramSpan) *
             (histogram.positive_spans.capacity() + histogram.negative_spans.capacity()) +
         sizeof(int64_t) *
             (histogram.positive_deltas.capacity() + histogram.negative_deltas.capacity()) +
         sizeof(double) * histogram.custom_values.capacity();
}

size_t BytesOf(const FloatHistogram& histogram) {
  return sizeof(HistogramSpan) *
             (histogram.positive_spans.capacity() + histogram.negative_spans.capacity()) +
         sizeof(double) *
             (histogram.positive_buckets.capacity() + histogram.negative_buckets.capacity() +
              histogram.custom_values.capacity());
}

}  // namespace

void NumberedBatch::SetStartTimestamp(Timestamp start) {
  NARTHEX_DCHECK(!empty());
  if (start_timestamps.empty()) {
    if (start == 0) return;
    start_timestamps.assign(size(), 0);
  }
  start_timestamps.back() = start;
}

void NumberedBatch::SetHistogram(Histogram histogram) {
  NARTHEX_DCHECK(!empty());
  values.back() = histogram.sum;
  histograms.push_back({size() - 1, std::move(histogram)});
}

void NumberedBatch::SetHistogram(FloatHistogram histogram) {
  NARTHEX_DCHECK(!empty());
  values.back() = histogram.sum;
  histograms.push_back({size() - 1, std::move(histogram)});
}

void NumberedBatch::TakeEntries(const AppendBatch& batch) {
  start_timestamps = batch.start_timestamps;
  for (const AppendBatch::HistogramEntry& entry : batch.histograms) {
    HistogramEntry& own = histograms.emplace_back();
    own.index = entry.index;
    if (entry.is_float) {
      own.histogram = entry.float_histogram;
    } else {
      own.histogram = entry.histogram;
    }
  }
  for (const AppendBatch::ExemplarEntry& entry : batch.exemplars) {
    exemplars.push_back(
        {entry.index, {Labels::FromSorted(entry.labels), entry.timestamp, entry.value}});
  }
  for (const AppendBatch::MetadataEntry& entry : batch.metadata) {
    metadata.push_back(
        {entry.index, {entry.type, std::string(entry.help), std::string(entry.unit)}});
  }
}

size_t NumberedBatch::memory_bytes() const {
  size_t bytes = sizeof(*this) + numbers.capacity() * sizeof(SeriesNumber) +
                 values.capacity() * sizeof(double) +
                 (timestamps.capacity() + start_timestamps.capacity()) * sizeof(Timestamp) +
                 histograms.capacity() * sizeof(HistogramEntry) +
                 exemplars.capacity() * sizeof(ExemplarEntry) +
                 metadata.capacity() * sizeof(MetadataEntry);
  for (const HistogramEntry& entry : histograms) {
    bytes += std::visit([](const auto& histogram) { return BytesOf(histogram); }, entry.histogram);
  }
  for (const ExemplarEntry& entry : exemplars) bytes += BytesOf(entry.exemplar.labels);
  for (const MetadataEntry& entry : metadata) {
    bytes += entry.metadata.help.capacity() + entry.metadata.unit.capacity();
  }
  return bytes;
}

void EntryWriter::WriteAny(size_t index, AppendBatchWriter* writer) {
  if (!batch_->start_timestamps.empty()) {
    writer->SetStartTimestamp(batch_->start_timestamps[index]);
  }
  // Entries of samples that were left out are passed over.
  histogram_ = Skip(batch_->histograms, histogram_, index);
  if (histogram_ < batch_->histograms.size() && batch_->histograms[histogram_].index == index) {
    std::visit([&](const auto& histogram) { writer->SetHistogram(histogram); },
               batch_->histograms[histogram_++].histogram);
  }
  exemplar_ = Skip(batch_->exemplars, exemplar_, index);
  while (exemplar_ < batch_->exemplars.size() && batch_->exemplars[exemplar_].index == index) {
    writer->AddExemplar(batch_->exemplars[exemplar_++].exemplar);
  }
  metadata_ = Skip(batch_->metadata, metadata_, index);
  if (metadata_ < batch_->metadata.size() && batch_->metadata[metadata_].index == index) {
    writer->SetMetadata(batch_->metadata[metadata_++].metadata);
  }
}

}  // namespace narthex::storage
