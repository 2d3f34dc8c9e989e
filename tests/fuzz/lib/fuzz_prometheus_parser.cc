// Any bytes as a text exposition: nothing breaks, and both paths of the parser give the same
// entries, labels and errors.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/textparse/prometheus_parser.h"

namespace {

using narthex::Message;
using narthex::StrAppend;
using narthex::textparse::Entry;
using narthex::textparse::EntryKind;
using narthex::textparse::PrometheusParser;

std::string Describe(std::string_view body, bool fast) {
  PrometheusParser parser(body);
  if (!fast) parser.DisableFastPath();
  std::string out;
  while (parser.Next()) {
    const Entry& entry = parser.entry();
    StrAppend(&out, static_cast<int>(entry.kind), static_cast<int>(entry.type), entry.name, '\n',
              entry.text, '\n');
    if (entry.kind != EntryKind::kSeries) continue;
    StrAppend(&out, std::bit_cast<uint64_t>(entry.value), '\n');
    if (entry.has_timestamp) StrAppend(&out, entry.timestamp, '\n');
    const auto labels = parser.ReadLabels(entry);
    StrAppend(&out, labels.ok() ? labels->ToString() : Message(labels.status()), '\n');
  }
  StrAppend(&out, Message(parser.status()));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  NARTHEX_CHECK(Describe(body, true) == Describe(body, false));
  return 0;
}
