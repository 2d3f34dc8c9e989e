#include "lib/log/log.h"

#include <unistd.h>

#include "absl/time/time.h"
#include "lib/base/mutex.h"
#include "lib/base/utf8.h"

namespace narthex {
namespace {

std::string_view LevelText(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "";
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty() || !IsValidUtf8(value)) return true;
  for (const char c : value) {
    if (c <= ' ' || c == '=' || c == '"' || c == 0x7f) return true;
  }
  return false;
}

void AppendLogfmt(std::string* line, std::string_view key, std::string_view value) {
  if (!line->empty()) line->push_back(' ');
  StrAppend(line, key, '=');
  line->append(NeedsQuotes(value) ? Quote(value) : std::string(value));
}

void AppendJson(std::string* line, std::string_view key, std::string_view value) {
  constexpr char kHex[] = "0123456789abcdef";
  line->append(line->empty() ? "{\"" : ",\"");
  StrAppend(line, key, "\":\"");
  for (size_t i = 0; i < value.size();) {
    size_t length = 0;
    const char32_t rune = DecodeRune(value.substr(i), &length);
    if (IsInvalidRune(rune, length)) {
      line->append("\\ufffd");
    } else if (rune == '"' || rune == '\\') {
      StrAppend(line, '\\', static_cast<char>(rune));
    } else if (rune == '\n') {
      line->append("\\n");
    } else if (rune < 0x20) {
      StrAppend(line, "\\u00", kHex[rune >> 4], kHex[rune & 15]);
    } else {
      line->append(value.substr(i, length));
    }
    i += length;
  }
  line->push_back('"');
}

}  // namespace

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warn") return LogLevel::kWarn;
  if (text == "error") return LogLevel::kError;
  return InvalidArgument("unrecognized log level ", Quote(text));
}

absl::StatusOr<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "logfmt") return LogFormat::kLogfmt;
  if (text == "json") return LogFormat::kJson;
  return InvalidArgument("unrecognized log format ", Quote(text));
}

class Logger::Sink {
 public:
  Sink(LogLevel level_min, LogFormat line_format, Clock* line_clock,
       std::vector<std::string>* lines)
      : level(level_min), format(line_format), clock(line_clock), lines_(lines) {}

  void Write(std::string line) {
    MutexLock lock(&mu_);
    if (lines_ != nullptr) {
      lines_->push_back(std::move(line));
      return;
    }
    line.push_back('\n');
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written <= 0) return;  // Nobody reads our log; there is nowhere to say so.
      rest.remove_prefix(static_cast<size_t>(written));
    }
  }

  const LogLevel level;
  const LogFormat format;
  Clock* const clock;  // Null: lines carry no time.

 private:
  Mutex mu_;
  std::vector<std::string>* const lines_;
};

Logger::Logger() = default;

Logger Logger::ToStderr(LogLevel level, LogFormat format, Clock* clock) {
  Logger logger;
  logger.sink_ = std::make_shared<Sink>(level, format, clock, nullptr);
  return logger;
}

Logger Logger::ToLines(std::vector<std::string>* lines) {
  Logger logger;
  logger.sink_ = std::make_shared<Sink>(LogLevel::kDebug, LogFormat::kLogfmt, nullptr, lines);
  return logger;
}

Logger Logger::With(std::initializer_list<LogField> fields) const {
  Logger logger = *this;
  for (const LogField& field : fields) logger.fields_.emplace_back(field.key, field.value);
  return logger;
}

bool Logger::enabled(LogLevel level) const { return sink_ != nullptr && level >= sink_->level; }

void Logger::Log(LogLevel level, std::string_view message,
                 std::initializer_list<LogField> fields) const {
  if (!enabled(level)) return;
  std::string line;
  const auto append = sink_->format == LogFormat::kJson ? AppendJson : AppendLogfmt;
  if (sink_->clock != nullptr) {
    append(&line, "time",
           absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", sink_->clock->Now(), absl::UTCTimeZone()));
  }
  append(&line, "level", LevelText(level));
  append(&line, "msg", message);
  for (const auto& [key, value] : fields_) append(&line, key, value);
  for (const LogField& field : fields) append(&line, field.key, field.value);
  if (sink_->format == LogFormat::kJson) line.push_back('}');
  sink_->Write(std::move(line));
}

}  // namespace narthex
