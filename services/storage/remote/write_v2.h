#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_V2_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_V2_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/storage/remote/write_columns.h"

namespace narthex::storage_remote {

// Decodes io.prometheus.write.v2.Request, the message of remote write 2.0: labels are numbers of
// the request's own symbols. What is wrong with a single series is a problem of the columns; only a
// message that is no message is an error.
//
// One a request at a time; its memory is reused. Thread safety: none.
class WriteV2Decoder : public LabelSource {
 public:
  // Fills *columns. InvalidArgument names the field that is malformed. `seed` is the SeriesCache's.
  absl::Status Decode(std::string_view message, uint64_t seed, WriteColumns* columns);

  LabelsVerdict MakeLabels(std::string_view source, std::vector<LabelView>* labels) override;

 private:
  // The parts of one series, read before anything of it is added.
  struct Parts {
    std::string_view refs;
    std::vector<std::string_view> samples;
    std::vector<std::string_view> histograms;
    std::vector<std::string_view> exemplars;
    std::string_view metadata;
    void Clear();
  };
  absl::Status ReadParts(std::string_view message);
  absl::Status ReadSeries(std::string_view message, uint64_t seed, WriteColumns* columns);
  absl::Status ReadSample(std::string_view message, WriteColumns* columns);
  absl::Status AddHistogram(std::string_view message, WriteColumns* columns);
  absl::Status ReadExemplar(std::string_view message, WriteColumns* columns);
  absl::Status ReadMetadata(std::string_view message, WriteColumns* columns);
  Hash128 KeyOf(std::string_view refs, uint64_t seed);
  std::string_view Symbol(uint64_t ref) const {
    return ref < symbols_.size() ? symbols_[static_cast<size_t>(ref)] : std::string_view();
  }

  std::vector<std::string_view> symbols_;
  std::vector<Hash128> hashes_;  // Of the symbols.
  std::vector<std::string_view> messages_;
  Parts parts_;
  std::string scratch_;
  std::deque<std::string> gathered_;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_V2_H_
