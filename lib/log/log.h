#ifndef NARTHEX_LIB_LOG_LOG_H_
#define NARTHEX_LIB_LOG_LOG_H_

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/strings.h"

namespace narthex {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kLogfmt, kJson };
absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text);    // debug info warn error
absl::StatusOr<LogFormat> ParseLogFormat(std::string_view text);  // logfmt json

// One key=value of a line. Values are anything StrCat takes, or an absl::Status (its message).
struct LogField {
  template <typename T>
  LogField(std::string_view k, const T& v) : key(k), value(StrCat(v)) {}
  LogField(std::string_view k, const absl::Status& status) : key(k), value(Message(status)) {}
  std::string_view key;
  std::string value;
};

// Writes whole lines to standard error (or another sink), in logfmt or JSON:
//   time=2026-11-20T10:00:00.000Z level=INFO msg="server is ready" component=web
// A Logger is a cheap handle with fields of its own on a shared sink. Thread-safe; lines never
// interleave.
class Logger {
 public:
  // Drops everything; for tests.
  Logger();
  static Logger ToStderr(LogLevel level, LogFormat format, Clock* clock);
  // Lines are appended to *lines; for tests. The vector must outlive all handles and is guarded by
  // the sink.
  static Logger ToLines(std::vector<std::string>* lines);

  Logger With(std::initializer_list<LogField> fields) const;
  bool enabled(LogLevel level) const;
  void Log(LogLevel level, std::string_view message,
           std::initializer_list<LogField> fields = {}) const;
  void Debug(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    if (enabled(LogLevel::kDebug)) Log(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Log(LogLevel::kInfo, message, fields);
  }
  void Warn(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Log(LogLevel::kWarn, message, fields);
  }
  void Error(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    Log(LogLevel::kError, message, fields);
  }

 private:
  class Sink;
  std::shared_ptr<Sink> sink_;
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_LOG_LOG_H_
