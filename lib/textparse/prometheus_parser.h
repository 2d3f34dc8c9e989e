#ifndef NARTHEX_LIB_TEXTPARSE_PROMETHEUS_PARSER_H_
#define NARTHEX_LIB_TEXTPARSE_PROMETHEUS_PARSER_H_

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/textparse/parser.h"
#include "lib/textparse/prometheus_lexer.h"

namespace narthex::textparse {

// Text format 0.0.4, with the quoted names of 1.0.0. What it accepts, and the errors, are
// upstream's; README.md lists the two differences. Lines as every exporter writes them take a fast
// path over the raw bytes; any other line, good or bad, is read token by token.
//
// Thread safety: none.
class PrometheusParser final : public Parser {
 public:
  explicit PrometheusParser(std::string_view body);
  // For tests: reads every line token by token.
  void DisableFastPath() { fast_path_ = false; }

  absl::StatusOr<Labels> ReadLabels(const Entry& series) override;

 protected:
  size_t Fill(std::span<Entry> entries, absl::Status* status) override;

 private:
  enum class Outcome { kEntry, kSkipped, kEnd, kError };

  // Fast path: each returns false, and moves nothing, where the line is not of the usual form.
  bool ReadSeriesFast(Entry* entry);
  bool ReadMetadataFast(Entry* entry);

  // Token by token.
  Outcome ReadEntry(Entry* entry, absl::Status* status);
  absl::Status ReadMetadata(Token keyword, Entry* entry);
  absl::Status ReadSeries(Token first, Entry* entry);
  absl::Status ReadLabelPairs(bool* has_name);
  absl::Status ReadValueAndTimestamp(Token token, Entry* entry);
  // "<expected>, got … while parsing …".
  absl::Status Unexpected(std::string_view expected, Token got) const;
  std::string QuoteBody(size_t start, size_t end) const;
  std::string_view BodyBetween(size_t start, size_t end) const;

  // `text` with its escapes resolved: itself when it has none, else a copy that lives as long as
  // the parser.
  std::string_view Unescape(std::string_view text, bool quotes);

  const std::string_view body_;
  bool fast_path_ = true;
  PrometheusLexer lexer_;
  const char* position_;  // The start of the next line, at most the end of the body.
  size_t entry_start_ = 0;
  MetricType type_ = MetricType::kUnknown;
  std::deque<std::string> unescaped_;
  // Scratch of ReadLabels().
  std::vector<LabelView> labels_;
  std::deque<std::string> label_texts_;
};

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_PROMETHEUS_PARSER_H_
