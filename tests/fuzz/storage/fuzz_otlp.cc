// Any bytes as an export of OTLP metrics in both encodings, translated under the settings that the
// first byte chooses: columns hold together, and no histogram is one that the head would refuse for
// its form.
#include <cstdint>
#include <string_view>

#include "services/storage/remote/otlp/delta_state.h"
#include "services/storage/remote/otlp/translator.h"
#include "tests/fuzz/storage/check_columns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;  // NOLINT: one function.
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  otlp::Settings settings;
  settings.names.escape = (choice & 1) == 0;
  settings.names.suffixes = (choice & 2) == 0;
  settings.promote_all_resource_attributes = (choice & 4) != 0;
  settings.promote_scope_metadata = (choice & 8) != 0;
  settings.convert_histograms_to_nhcb = (choice & 16) != 0;
  settings.names.preserve_multiple_underscores = (choice & 32) == 0;
  if ((choice & 64) != 0) settings.delta = otlp::Settings::Delta::kToCumulative;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool json : {false, true}) {
    otlp::Request request;
    const absl::Status decoded =
        json ? otlp::DecodeJson(bytes, &request) : otlp::DecodeProtobuf(bytes, &request);
    if (!decoded.ok()) continue;
    if (settings.delta == otlp::Settings::Delta::kToCumulative) {
      otlp::DeltaState(16).ToCumulative(&request);
    }
    otlp::Translator translator;
    otlp::TranslationReport report;
    storage_remote::WriteColumns columns;
    translator.Translate(request, settings, 1, &columns, &report);
    for (const auto& entry : columns.batch.histograms) {
      NARTHEX_CHECK(BucketCount(entry.histogram.positive_spans) ==
                    entry.histogram.positive_deltas.size());
      NARTHEX_CHECK(BucketCount(entry.histogram.negative_spans) ==
                    entry.histogram.negative_deltas.size());
    }
    storage_remote::TryColumns(&columns, &translator);
  }
  return 0;
}
