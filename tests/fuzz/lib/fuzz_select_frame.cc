// Any bytes as a select frame: reading ends, and what it shows comes back from being written again.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/labels/labels.h"
#include "lib/storage/select_frame.h"

using narthex::storage::SelectFrameReader;

namespace {

void WriteSeries(const SelectFrameReader& reader, narthex::storage::SelectFrameWriter* writer) {
  if (reader.id() != 0) {
    writer->AddSeries(reader.id());
  } else {
    writer->AddSeries(narthex::Labels::FromSorted(reader.labels()));
  }
  switch (reader.kind()) {
    case SelectFrameReader::Kind::kLabelsOnly:
      return writer->LabelsOnly();
    case SelectFrameReader::Kind::kChunks:
      return writer->Chunks(reader.chunks(), reader.deleted());
    case SelectFrameReader::Kind::kSamples:
      return writer->Samples(reader.timestamps(), reader.values());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  SelectFrameReader reader({reinterpret_cast<const char*>(data), size});
  narthex::storage::SelectFrameWriter writer;
  size_t series = 0;
  while (reader.Next()) {
    ++series;
    WriteSeries(reader, &writer);
  }
  const std::string written = writer.Take();
  // What was written once is in the one form that the writer gives it.
  SelectFrameReader again(written);
  while (again.Next()) {
    --series;
    WriteSeries(again, &writer);
  }
  NARTHEX_CHECK_OK(again.status());
  NARTHEX_CHECK(series == 0);
  NARTHEX_CHECK(writer.Take() == written);
  return 0;
}
