#ifndef NARTHEX_SERVICES_STORAGE_READ_SERVICE_H_
#define NARTHEX_SERVICES_STORAGE_READ_SERVICE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/labels/labels.h"
#include "lib/model/timestamp.h"
#include "lib/storage/storage.h"
#include "narthex/v1/storage.pb.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// Answers the questions of one Read stream, without the transport.
//
// Thread safety: none; one thread a stream.
class ReadService {
 public:
  struct Environment {
    const tsdb::Db* db = nullptr;
    Clock* clock = nullptr;
    // Called with the bytes of packed series of each message.
    std::function<void(size_t)> count_bytes;
    std::function<narthex::Labels()> external_labels;  // Of the configuration; may be empty.
  };
  // Takes a message of the answer, and may take what is in it; false when nobody wants more.
  using Sink = std::function<bool(v1::ReadResponse*)>;

  // `environment` must outlive it. `cancelled` says that the caller has left.
  ReadService(const Environment* environment, std::function<bool()> cancelled, Sink sink)
      : environment_(*environment), cancelled_(std::move(cancelled)), sink_(std::move(sink)) {}

  // Sends the whole answer, how it ended included. False: the stream is over.
  bool Answer(const v1::ReadRequest& request);

 private:
  // Each leaves the last piece of its answer in response_, for Answer() to send with the end.
  absl::Status Question(const v1::ReadRequest& request);
  absl::Status Select(const v1::SelectRequest& request, absl::Time deadline);
  absl::Status Labels(const v1::LabelsRequest& request);
  absl::Status LabelNames(const v1::LabelNamesRequest& request);
  absl::Status LabelValues(const v1::LabelValuesRequest& request);

  // Sends what is in response_, and clears it.
  absl::Status Send();
  absl::Status SendStrings(std::vector<std::string> strings);
  void FillHeader(const std::string& known_revision);
  // OK once the log is replayed, and before for times that blocks cover: a newer answer without the
  // head would make alerts resolve.
  absl::Status CheckAnswers(Timestamp max_time) const;

  const Environment& environment_;
  const std::function<bool()> cancelled_;
  const Sink sink_;
  v1::ReadResponse response_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_READ_SERVICE_H_
