#ifndef NARTHEX_SERVICES_QUERY_API_VALUE_WRITER_H_
#define NARTHEX_SERVICES_QUERY_API_VALUE_WRITER_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "lib/json/writer.h"
#include "lib/labels/labels.h"
#include "lib/model/timestamp.h"
#include "services/query/promql/value.h"

// Query results as the API writes them, straight from the columns of the engine. All functions are
// pure.
namespace narthex::query_api {

// Seconds with three decimals where there are any: 1435781451.781, 1435781430.
void AppendTimestamp(std::string* out, Timestamp timestamp);
// {"__name__":"up","job":"x"}
void WriteLabels(const Labels& labels, json::Writer* writer);
// "2006-01-02T15:04:05.999Z", with as many decimals as needed; InfinitePast() as Go's zero time,
// "0001-01-01T00:00:00Z".
std::string FormatApiTime(absl::Time time);

// May take the text that is there while more is coming, by clearing the string that is written to;
// false ends the writing.
using Drain = std::function<bool()>;

// "resultType":…,"result":…: the first members of an object that the caller has begun and ends.
// `writer` writes to *out. False when `drain`, which may be empty and is called after each series,
// has ended it.
bool WriteValue(const promql::Value& value, json::Writer* writer, std::string* out,
                const Drain& drain = nullptr);
// About how long the JSON of a value is, from the number of its samples.
size_t EstimateJsonBytes(const promql::Value& value);
// {"timings":{…},"samples":{…}}
void WriteStats(const promql::QueryStats& stats, json::Writer* writer);

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_VALUE_WRITER_H_
