#ifndef NARTHEX_LIB_REMOTE_HISTOGRAM_MESSAGE_H_
#define NARTHEX_LIB_REMOTE_HISTOGRAM_MESSAGE_H_

#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"
#include "lib/remote/proto_writer.h"

namespace narthex::remote {

// Appends the fields of prometheus.Histogram; the caller begins and ends the message.
void WriteHistogram(const Histogram& histogram, Timestamp timestamp, ProtoWriter* writer);
void WriteHistogram(const FloatHistogram& histogram, Timestamp timestamp, ProtoWriter* writer);

}  // namespace narthex::remote

#endif  // NARTHEX_LIB_REMOTE_HISTOGRAM_MESSAGE_H_
