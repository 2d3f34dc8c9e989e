#include "lib/textparse/parser.h"

#include "lib/base/strings.h"
#include "lib/textparse/prometheus_parser.h"

namespace narthex::textparse {

bool Parser::Refill() {
  current_ = 0;
  count_ = 0;
  if (ended_) return false;
  count_ = Fill(entries_, &status_);
  ended_ = count_ < entries_.size();
  return count_ > 0;
}

absl::StatusOr<std::unique_ptr<Parser>> NewParser(Format format, std::string_view body) {
  switch (format) {
    case Format::kPrometheusText:
      return std::unique_ptr<Parser>(std::make_unique<PrometheusParser>(body));
    case Format::kOpenMetrics:
    case Format::kProtobuf:
      break;
  }
  return InvalidArgument("there is no parser for ", MediaType(format));
}

}  // namespace narthex::textparse
