#ifndef NARTHEX_LIB_JSON_WRITER_H_
#define NARTHEX_LIB_JSON_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace narthex::json {

// Appends JSON text to a string; places commas itself. HTML characters (< > &) and U+2028/9 are
// escaped as Go's encoder does, invalid UTF-8 becomes U+FFFD. REQUIRES: calls nest properly and a
// Key() precedes each value in an object. Thread safety: none.
class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}
  void BeginObject();
  void EndObject();
  void BeginArray();
  void EndArray();
  void Key(std::string_view key);
  void String(std::string_view value);
  void Int(int64_t value);
  void Uint(uint64_t value);
  void Double(double value);  // Go's encoding/json form; REQUIRES: finite.
  void Bool(bool value);
  void Null();
  void Raw(std::string_view json);  // One complete value, as it is.

 private:
  void Separate();
  std::string* const out_;
  bool need_comma_ = false;
};

void AppendQuoted(std::string* out, std::string_view text);

}  // namespace narthex::json

#endif  // NARTHEX_LIB_JSON_WRITER_H_
