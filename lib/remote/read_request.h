#ifndef NARTHEX_LIB_REMOTE_READ_REQUEST_H_
#define NARTHEX_LIB_REMOTE_READ_REQUEST_H_

#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/labels/labels.h"
#include "lib/storage/storage.h"

namespace narthex::remote {

// How the answer to a remote read comes.
enum class ReadAnswerType {
  kSamples,            // One message with all samples.
  kStreamedXorChunks,  // A stream of messages with chunks.
};

// prometheus.ReadRequest.
struct ReadRequest {
  std::vector<storage::Selector> queries;
  // The first that the client accepts and that is known here.
  ReadAnswerType type = ReadAnswerType::kSamples;
};

// Overwrites *request. InvalidArgument names the field that is malformed ("queries[0].matchers[1]:
// …"), a matcher whose expression does not parse, or that no type of answer is known.
absl::Status DecodeReadRequest(std::string_view message, ReadRequest* request);

// External labels are not stored: a matcher for one of them by equality asks for series that do not
// have it, as upstream does.
void RemoveExternalLabels(const Labels& external_labels, std::vector<Matcher>* matchers);

}  // namespace narthex::remote

#endif  // NARTHEX_LIB_REMOTE_READ_REQUEST_H_
