#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_V1_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_V1_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/model/metadata.h"
#include "services/storage/remote/write_columns.h"

namespace narthex::storage_remote {

// Decodes prometheus.WriteRequest, the message of remote write 1.0. One a request at a time; its
// memory is reused. Thread safety: none.
class WriteV1Decoder : public LabelSource {
 public:
  // What a request says of metric families. Views into its bytes.
  struct FamilyMetadata {
    std::string_view family;
    MetricType type = MetricType::kUnknown;
    std::string_view help;
    std::string_view unit;
  };

  // Fills *columns. InvalidArgument names the field that is malformed
  // ("timeseries[3].samples[0]: …"). `seed` is the SeriesCache's.
  absl::Status Decode(std::string_view message, uint64_t seed, WriteColumns* columns);

  LabelsVerdict MakeLabels(std::string_view source, std::vector<LabelView>* labels) override;
  const std::vector<FamilyMetadata>& metadata() const { return metadata_; }

 private:
  absl::Status ReadSeries(std::string_view message, uint64_t seed, WriteColumns* columns);
  absl::Status ReadExemplar(std::string_view message, WriteColumns* columns);
  absl::Status ReadMetadata(std::string_view message);
  // All label fields of a message that scatters them, as one piece.
  std::string_view GatherLabels(std::string_view message);

  std::vector<FamilyMetadata> metadata_;
  std::vector<std::string_view> exemplars_;  // Of the series in work.
  std::deque<std::string> gathered_;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_V1_H_
