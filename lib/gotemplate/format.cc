#include "lib/gotemplate/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/unicode.h"

namespace narthex::gotemplate {
namespace {

// Go's bound on widths and precisions.
constexpr int kNumberMax = 1'000'000;

struct Flags {
  bool minus = false;
  bool plus = false;
  bool sharp = false;
  bool space = false;
  bool zero = false;
  bool plus_v = false;   // %+v
  bool sharp_v = false;  // %#v
  std::optional<int> width;
  std::optional<int> precision;
};

// Go's strconv.FormatFloat with an explicit precision, a sign always in front.
std::string FloatDigits(double value, char verb, int precision) {
  std::string out;
  const char lower = static_cast<char>(verb | 0x20);
  if (!std::isfinite(value) || precision < 0) {
    if (lower == 'e') {
      AppendFloatE(&out, value);
    } else if (lower == 'f') {
      AppendFloatF(&out, value);
    } else {
      AppendFloatG(&out, value);
    }
  } else {
    const auto format = lower == 'e'   ? std::chars_format::scientific
                        : lower == 'f' ? std::chars_format::fixed
                                       : std::chars_format::general;
    out.resize(static_cast<size_t>(precision) + 400);
    const auto result =
        std::to_chars(out.data(), out.data() + out.size(), value, format, precision);
    out.resize(static_cast<size_t>(result.ptr - out.data()));
  }
  if (out[0] != '-' && out[0] != '+') out.insert(out.begin(), '+');
  if (verb == 'E' || verb == 'G') {
    std::replace(out.begin(), out.end(), 'e', 'E');
  }
  return out;
}

// %x of a float: -0x1.23abcp+20.
std::string HexFloat(double value, char verb, int precision) {
  if (!std::isfinite(value)) return FloatDigits(value, 'g', -1);
  std::string digits(static_cast<size_t>(std::max(precision, 0)) + 64, '\0');
  const double magnitude = std::fabs(value);
  const auto result = precision < 0 ? std::to_chars(digits.data(), digits.data() + digits.size(),
                                                    magnitude, std::chars_format::hex)
                                    : std::to_chars(digits.data(), digits.data() + digits.size(),
                                                    magnitude, std::chars_format::hex, precision);
  digits.resize(static_cast<size_t>(result.ptr - digits.data()));
  // Rounding may have carried into the first digit; and Go writes at least two digits of exponent.
  const size_t p = digits.find('p');
  int exponent = 0;
  std::from_chars(digits.data() + p + (digits[p + 1] == '+' ? 2 : 1), digits.data() + digits.size(),
                  exponent);
  if (digits[0] == '2') {
    digits[0] = '1';
    ++exponent;
  }
  digits.resize(p);
  StrAppend(&digits, exponent < 0 ? "p-" : "p+", std::abs(exponent) < 10 ? "0" : "",
            std::abs(exponent));
  std::string out = StrCat(std::signbit(value) ? "-" : "+", "0x", digits);
  if (verb == 'X') {
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c; });
  }
  return out;
}

// %b of a float: the mantissa and the power of two.
std::string BinaryFloat(double value) {
  if (!std::isfinite(value)) return FloatDigits(value, 'g', -1);
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);
  auto mantissa = static_cast<int64_t>(std::ldexp(fraction, 53));
  exponent -= 53;
  constexpr int kMinExponent = -1074;
  if (value == 0) exponent = kMinExponent;
  while (exponent < kMinExponent) {
    mantissa >>= 1;
    ++exponent;
  }
  return StrCat(std::signbit(value) ? "-" : "+", mantissa, "p", exponent >= 0 ? "+" : "", exponent);
}

class Printer {
 public:
  explicit Printer(size_t bytes_max) : bytes_max_(bytes_max) {}

  std::string Take() { return std::move(out_); }
  bool full() const { return out_.size() > bytes_max_; }
  void Write(std::string_view text) { out_.append(text); }

  // One value by one verb, with flags_.
  void PrintArg(const Value& value, char32_t verb) {
    if (verb == 'T') return PadString(value.type_name());
    if (value.is_nil()) {
      if (verb == 'v') return PadString("<nil>");
      return BadVerb(value, verb);
    }
    PrintValue(value, verb, 0);
  }

  void Format(std::string_view format, std::span<const Value> values);

  Flags flags_;

 private:
  void Pad(std::string_view text, size_t runes) {
    const size_t width = flags_.width.has_value() ? static_cast<size_t>(*flags_.width) : 0;
    const size_t missing = width > runes ? width - runes : 0;
    if (flags_.minus) {
      out_.append(text);
      out_.append(missing, ' ');
      return;
    }
    out_.append(missing, flags_.zero ? '0' : ' ');
    out_.append(text);
  }
  void Pad(std::string_view text) { Pad(text, RuneCount(text)); }

  std::string_view Truncate(std::string_view text) const {
    if (!flags_.precision.has_value()) return text;
    size_t bytes = 0;
    for (int runes = 0; runes < *flags_.precision && bytes < text.size(); ++runes) {
      size_t length = 0;
      DecodeRune(text.substr(bytes), &length);
      bytes += length;
    }
    return text.substr(0, bytes);
  }
  void PadString(std::string_view text) { Pad(Truncate(text)); }

  void BadVerb(const Value& value, char32_t verb) {
    out_.append("%!");
    AppendRune(&out_, verb);
    out_.push_back('(');
    if (value.is_nil()) {
      out_.append("<nil>");
    } else {
      StrAppend(&out_, value.type_name(), "=");
      // A String method is not asked for what is shown in band.
      in_error_ = true;
      PrintValue(value, 'v', 0);
      in_error_ = false;
    }
    out_.push_back(')');
  }

  void PrintBool(const Value& value, char32_t verb) {
    if (verb != 't' && verb != 'v') return BadVerb(value, verb);
    Pad(value.bool_value() ? "true" : "false");
  }

  // `negative` is the sign of a signed value; digits in the given base.
  void PrintInteger(uint64_t magnitude, bool negative, int base, char32_t verb, bool upper) {
    std::string digits;
    if (flags_.precision.has_value() && *flags_.precision == 0 && magnitude == 0) {
      const bool zero = std::exchange(flags_.zero, false);
      Pad("");
      flags_.zero = zero;
      return;
    }
    char buffer[64];
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, magnitude, base);
    digits.assign(buffer, result.ptr);
    if (upper) {
      for (char& c : digits) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    }
    size_t least = 0;
    if (flags_.precision.has_value()) {
      least = static_cast<size_t>(*flags_.precision);
    } else if (flags_.zero && !flags_.minus && flags_.width.has_value()) {
      least = static_cast<size_t>(*flags_.width);
      if ((negative || flags_.plus || flags_.space) && least > 0) --least;
    }
    if (digits.size() < least) digits.insert(0, least - digits.size(), '0');
    std::string prefix;
    if (flags_.sharp) {
      if (base == 2) prefix = "0b";
      if (base == 8 && digits[0] != '0') prefix = "0";
      if (base == 16) prefix = upper ? "0X" : "0x";
    }
    if (verb == 'O') prefix = StrCat("0o", prefix);
    const char* sign = negative ? "-" : flags_.plus ? "+" : flags_.space ? " " : "";
    const bool zero = std::exchange(flags_.zero, false);
    Pad(StrCat(sign, prefix, digits));
    flags_.zero = zero;
  }

  static char32_t RuneOf(uint64_t value) {
    return value > 0x10FFFF ? kReplacementRune : static_cast<char32_t>(value);
  }

  std::string QuoteRune(char32_t rune) const {
    std::string text;
    AppendRune(&text, rune);
    if (text == "'") return "'\\''";
    if (text == "\"") return "'\"'";
    std::string quoted = flags_.plus ? QuoteAscii(text) : Quote(text);
    quoted.front() = quoted.back() = '\'';
    return quoted;
  }

  // U+0041, with '#' also 'A'.
  void PrintUnicode(uint64_t value) {
    char buffer[24];
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, value, 16);
    std::string digits(buffer, result.ptr);
    for (char& c : digits) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    const size_t least = static_cast<size_t>(std::max(flags_.precision.value_or(4), 4));
    if (digits.size() < least) digits.insert(0, least - digits.size(), '0');
    std::string text = StrCat("U+", digits);
    if (flags_.sharp && value <= 0x10FFFF && IsPrintRune(static_cast<char32_t>(value))) {
      text.append(" '");
      AppendRune(&text, static_cast<char32_t>(value));
      text.push_back('\'');
    }
    const bool zero = std::exchange(flags_.zero, false);
    Pad(text);
    flags_.zero = zero;
  }

  void PrintInt(const Value& value, uint64_t magnitude, bool negative, char32_t verb) {
    const uint64_t bits = negative ? ~magnitude + 1 : magnitude;
    switch (verb) {
      case 'v':
        if (flags_.sharp_v && value.kind() == Kind::kUint) {
          const bool sharp = std::exchange(flags_.sharp, true);
          PrintInteger(magnitude, false, 16, 'v', false);
          flags_.sharp = sharp;
          return;
        }
        return PrintInteger(magnitude, negative, 10, verb, false);
      case 'd':
        return PrintInteger(magnitude, negative, 10, verb, false);
      case 'b':
        return PrintInteger(magnitude, negative, 2, verb, false);
      case 'o':
      case 'O':
        return PrintInteger(magnitude, negative, 8, verb, false);
      case 'x':
        return PrintInteger(magnitude, negative, 16, verb, false);
      case 'X':
        return PrintInteger(magnitude, negative, 16, verb, true);
      case 'c': {
        std::string text;
        AppendRune(&text, RuneOf(bits));
        return Pad(text);
      }
      case 'q':
        return Pad(QuoteRune(RuneOf(bits)));
      case 'U':
        return PrintUnicode(bits);
      default:
        return BadVerb(value, verb);
    }
  }

  // A number with its sign in front, as Go pads floats.
  void PadFloat(std::string number, char verb) {
    if (flags_.space && number[0] == '+' && !flags_.plus) number[0] = ' ';
    if (number[1] == 'I' || number[1] == 'N') {
      const bool zero = std::exchange(flags_.zero, false);
      if (number[1] == 'N' && !flags_.space && !flags_.plus) number.erase(0, 1);
      Pad(number);
      flags_.zero = zero;
      return;
    }
    if (flags_.sharp && verb != 'b') number = KeepPoint(number, verb);
    if (flags_.plus || number[0] != '+') {
      const size_t width = flags_.width.has_value() ? static_cast<size_t>(*flags_.width) : 0;
      if (flags_.zero && !flags_.minus && width > number.size()) {
        out_.push_back(number[0]);
        out_.append(width - number.size(), '0');
        out_.append(number, 1);
        return;
      }
      return Pad(number);
    }
    Pad(std::string_view(number).substr(1));
  }

  // The sharp flag: a decimal point always, and trailing zeros for %g.
  std::string KeepPoint(const std::string& number, char verb) const {
    int digits = 0;
    if (verb == 'g' || verb == 'G' || verb == 'x' || verb == 'X') {
      digits = flags_.precision.value_or(-1);
      if (digits < 0) digits = 6;
    }
    const bool hexadecimal = verb == 'x' || verb == 'X';
    const size_t end = hexadecimal ? number.find_first_of("pP") : number.find_first_of("eE");
    std::string head = number.substr(0, end);
    const std::string tail = end == std::string::npos ? "" : number.substr(end);
    bool saw_nonzero = false;
    bool saw_point = false;
    for (size_t i = 1; i < head.size(); ++i) {
      if (head[i] == '.') {
        saw_point = true;
        continue;
      }
      if (head[i] != '0') saw_nonzero = true;
      if (saw_nonzero) --digits;
    }
    if (!saw_point) {
      if (head.size() == 2 && head[1] == '0') --digits;
      head.push_back('.');
    }
    if (digits > 0) head.append(static_cast<size_t>(digits), '0');
    return head + tail;
  }

  // False when the verb is none for floats.
  bool FormatFloat(double value, char32_t verb) {
    switch (verb) {
      case 'v':
        PadFloat(FloatDigits(value, 'g', flags_.precision.value_or(-1)), 'g');
        return true;
      case 'g':
      case 'G':
        PadFloat(FloatDigits(value, static_cast<char>(verb), flags_.precision.value_or(-1)),
                 static_cast<char>(verb));
        return true;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
        PadFloat(FloatDigits(value, static_cast<char>(verb), flags_.precision.value_or(6)),
                 static_cast<char>(verb));
        return true;
      case 'x':
      case 'X':
        PadFloat(HexFloat(value, static_cast<char>(verb), flags_.precision.value_or(-1)),
                 static_cast<char>(verb));
        return true;
      case 'b':
        PadFloat(BinaryFloat(value), 'b');
        return true;
      default:
        return false;
    }
  }

  void PrintComplex(const Value& value, char32_t verb) {
    static constexpr std::u32string_view kVerbs = U"vbgGxXfFeE";
    if (kVerbs.find(verb) == std::u32string_view::npos) return BadVerb(value, verb);
    const bool plus = flags_.plus;
    out_.push_back('(');
    FormatFloat(value.complex_value().real(), verb);
    flags_.plus = true;
    FormatFloat(value.complex_value().imag(), verb);
    out_.append("i)");
    flags_.plus = plus;
  }

  // Go's QuoteToASCII.
  static std::string QuoteAscii(std::string_view text) {
    std::string out;
    const std::string quoted = Quote(text);
    for (size_t pos = 0; pos < quoted.size();) {
      size_t length = 0;
      const char32_t rune = DecodeRune(std::string_view(quoted).substr(pos), &length);
      pos += length;
      if (rune < 0x80) {
        out.push_back(static_cast<char>(rune));
        continue;
      }
      static constexpr char kDigits[] = "0123456789abcdef";
      const bool wide = rune > 0xFFFF;
      out.append(wide ? "\\U" : "\\u");
      for (int shift = wide ? 28 : 12; shift >= 0; shift -= 4) {
        out.push_back(kDigits[(rune >> static_cast<unsigned>(shift)) & 15U]);
      }
    }
    return out;
  }

  void PrintQuoted(std::string_view text) {
    text = Truncate(text);
    // With '#' a raw string where that is possible: no backquote and no control character but the
    // tab.
    const bool raw =
        flags_.sharp && IsValidUtf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
          return c == '`' || c == 0x7f || (static_cast<unsigned char>(c) < 32 && c != '\t');
        });
    if (raw) return Pad(StrCat("`", text, "`"));
    Pad(flags_.plus ? QuoteAscii(text) : Quote(text));
  }

  void PrintHexString(std::string_view text, bool upper) {
    const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    if (flags_.precision.has_value()) {
      text = text.substr(0, static_cast<size_t>(*flags_.precision));
    }
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (flags_.space && i > 0) out.push_back(' ');
      if (flags_.sharp && (flags_.space || i == 0)) out.append(upper ? "0X" : "0x");
      const auto byte = static_cast<unsigned char>(text[i]);
      out.push_back(digits[byte >> 4U]);
      out.push_back(digits[byte & 15U]);
    }
    Pad(out, out.size());
  }

  // False when the verb is none for strings.
  bool FormatString(std::string_view text, char32_t verb) {
    switch (verb) {
      case 'v':
        if (flags_.sharp_v) {
          PrintQuoted(text);
        } else {
          PadString(text);
        }
        return true;
      case 's':
        PadString(text);
        return true;
      case 'x':
      case 'X':
        PrintHexString(text, verb == 'X');
        return true;
      case 'q':
        PrintQuoted(text);
        return true;
      default:
        return false;
    }
  }

  void PrintSequence(const Value& value, char32_t verb, int depth) {
    if (flags_.sharp_v)
      StrAppend(&out_, value.type_name(), "{");
    else
      out_.push_back('[');
    bool first = true;
    for (const Value& element : value.list()) {
      if (full()) return;
      if (!std::exchange(first, false)) out_.append(flags_.sharp_v ? ", " : " ");
      PrintElement(element, verb, depth);
    }
    out_.push_back(flags_.sharp_v ? '}' : ']');
  }

  void PrintMap(const Value& value, char32_t verb, int depth) {
    if (flags_.sharp_v)
      StrAppend(&out_, value.type_name(), "{");
    else
      out_.append("map[");
    bool first = true;
    for (const auto& [key, element] : value.map()) {
      if (full()) return;
      if (!std::exchange(first, false)) out_.append(flags_.sharp_v ? ", " : " ");
      PrintElement(Value::String(key), verb, depth);
      out_.push_back(':');
      PrintElement(element, verb, depth);
    }
    out_.push_back(flags_.sharp_v ? '}' : ']');
  }

  void PrintStruct(const Value& value, char32_t verb, int depth) {
    if (flags_.sharp_v) out_.append(value.type_name());
    out_.push_back('{');
    for (size_t i = 0; i < value.list().size(); ++i) {
      if (full()) return;
      if (i > 0) out_.append(flags_.sharp_v ? ", " : " ");
      if (flags_.plus_v || flags_.sharp_v) StrAppend(&out_, value.type()->fields[i], ":");
      PrintElement(value.list()[i], verb, depth);
    }
    out_.push_back('}');
  }

  void PrintElement(const Value& value, char32_t verb, int depth) {
    if (!value.is_nil()) return PrintValue(value, verb, depth + 1);
    if (flags_.sharp_v) {
      out_.append("interface {}(nil)");
    } else {
      out_.append("<nil>");
    }
  }

  void PrintValue(const Value& value, char32_t verb, int depth) {
    static constexpr std::u32string_view kStringVerbs = U"vsxXq";
    if (value.type()->print != nullptr && !in_error_ && !flags_.sharp_v &&
        kStringVerbs.find(verb) != std::u32string_view::npos) {
      FormatString(value.type()->print(value), verb);
      return;
    }
    switch (value.kind()) {
      case Kind::kNil:
        return;
      case Kind::kBool:
        return PrintBool(value, verb);
      case Kind::kInt: {
        const int64_t number = value.int_value();
        const auto bits = static_cast<uint64_t>(number);
        return PrintInt(value, number < 0 ? ~bits + 1 : bits, number < 0, verb);
      }
      case Kind::kUint:
        return PrintInt(value, value.uint_value(), false, verb);
      case Kind::kFloat:
        if (!FormatFloat(value.float_value(), verb)) BadVerb(value, verb);
        return;
      case Kind::kComplex:
        return PrintComplex(value, verb);
      case Kind::kString:
        if (!FormatString(value.string_value(), verb)) BadVerb(value, verb);
        return;
      case Kind::kList:
        return PrintSequence(value, verb, depth);
      case Kind::kMap:
        return PrintMap(value, verb, depth);
      case Kind::kStruct:
        return PrintStruct(value, verb, depth);
      case Kind::kTime:
        // Verbs that are none for strings would print Go's inner fields; nobody can want those.
        if (!FormatString(value.type()->print(value), verb))
          FormatString(value.type()->print(value), 's');
        return;
    }
  }

  const size_t bytes_max_;
  std::string out_;
  bool in_error_ = false;
};

// The state of one Sprintf: the format, how far it was read, and which argument comes next.
class FormatReader {
 public:
  FormatReader(std::string_view format, size_t arguments)
      : format_(format), arguments_(arguments) {}

  bool done() const { return pos_ >= format_.size(); }
  char current() const { return format_[pos_]; }
  void Skip() { ++pos_; }
  std::string_view Literal() {
    const size_t end = std::min(format_.find('%', pos_), format_.size());
    const std::string_view literal = format_.substr(pos_, end - pos_);
    pos_ = end;
    return literal;
  }
  char32_t Verb() {
    size_t length = 0;
    const char32_t verb = DecodeRune(format_.substr(pos_), &length);
    pos_ += length;
    return verb;
  }
  std::optional<int> Number() {
    int value = 0;
    const size_t begin = pos_;
    while (!done() && current() >= '0' && current() <= '9') {
      if (value > kNumberMax) {
        pos_ = format_.size();
        return std::nullopt;
      }
      value = value * 10 + (current() - '0');
      ++pos_;
    }
    if (pos_ == begin) return std::nullopt;
    return value;
  }
  // "[2]": sets argument_ and says that an index was there.
  bool Index() {
    if (done() || current() != '[') return false;
    reordered_ = true;
    const size_t close = format_.find(']', pos_);
    if (format_.size() - pos_ < 3 || close == std::string_view::npos) {
      ++pos_;
      good_index_ = false;
      return false;
    }
    ++pos_;
    const std::optional<int> number = Number();
    const bool digits_only = number.has_value() && pos_ == close;
    pos_ = close + 1;
    if (digits_only && *number >= 1 && static_cast<size_t>(*number) <= arguments_) {
      argument_ = static_cast<size_t>(*number) - 1;
      return true;
    }
    good_index_ = false;
    return digits_only;
  }

  size_t argument_ = 0;
  bool good_index_ = true;
  bool reordered_ = false;

 private:
  const std::string_view format_;
  const size_t arguments_;
  size_t pos_ = 0;
};

// A '*': the next argument as a number; nothing when it is none or out of bounds.
std::optional<int> StarArgument(FormatReader* reader, std::span<const Value> values) {
  if (reader->argument_ >= values.size()) return std::nullopt;
  const Value& value = values[reader->argument_++];
  int64_t number = 0;
  if (value.kind() == Kind::kInt) {
    number = value.int_value();
  } else if (value.kind() == Kind::kUint && value.uint_value() <= kNumberMax) {
    number = static_cast<int64_t>(value.uint_value());
  } else {
    return std::nullopt;
  }
  if (number < -kNumberMax || number > kNumberMax) return std::nullopt;
  return static_cast<int>(number);
}

Flags ReadFlags(FormatReader* reader) {
  Flags flags;
  for (; !reader->done(); reader->Skip()) {
    switch (reader->current()) {
      case '#':
        flags.sharp = true;
        break;
      case '0':
        flags.zero = true;
        break;
      case '+':
        flags.plus = true;
        break;
      case '-':
        flags.minus = true;
        break;
      case ' ':
        flags.space = true;
        break;
      default:
        return flags;
    }
  }
  return flags;
}

void Printer::Format(std::string_view format, std::span<const Value> values) {
  FormatReader reader(format, values.size());
  while (!reader.done() && !full()) {
    Write(reader.Literal());
    if (reader.done()) break;
    reader.Skip();
    reader.good_index_ = true;
    flags_ = ReadFlags(&reader);
    bool after_index = reader.Index();

    if (!reader.done() && reader.current() == '*') {
      reader.Skip();
      flags_.width = StarArgument(&reader, values);
      if (!flags_.width.has_value()) Write("%!(BADWIDTH)");
      if (flags_.width.value_or(0) < 0) {
        flags_.width = -*flags_.width;
        flags_.minus = true;
        flags_.zero = false;
      }
      after_index = false;
    } else {
      flags_.width = reader.Number();
      if (after_index && flags_.width.has_value()) reader.good_index_ = false;
    }

    if (!reader.done() && reader.current() == '.') {
      reader.Skip();
      if (after_index) reader.good_index_ = false;
      after_index = reader.Index();
      if (!reader.done() && reader.current() == '*') {
        reader.Skip();
        flags_.precision = StarArgument(&reader, values);
        if (flags_.precision.value_or(-1) < 0) {
          flags_.precision.reset();
          Write("%!(BADPREC)");
        }
        after_index = false;
      } else {
        flags_.precision = reader.Number().value_or(0);
      }
    }
    if (!after_index) reader.Index();
    if (reader.done()) {
      Write("%!(NOVERB)");
      break;
    }
    const char32_t verb = reader.Verb();
    std::string shown;
    AppendRune(&shown, verb);
    if (verb == '%') {
      Write("%");
    } else if (!reader.good_index_) {
      Write(StrCat("%!", shown, "(BADINDEX)"));
    } else if (reader.argument_ >= values.size()) {
      Write(StrCat("%!", shown, "(MISSING)"));
    } else {
      if (verb == 'v') {
        flags_.sharp_v = std::exchange(flags_.sharp, false);
        flags_.plus_v = std::exchange(flags_.plus, false);
      }
      PrintArg(values[reader.argument_++], verb);
    }
  }
  if (reader.reordered_ || reader.argument_ >= values.size()) return;
  flags_ = Flags{};
  Write("%!(EXTRA ");
  for (size_t i = reader.argument_; i < values.size() && !full(); ++i) {
    if (i > reader.argument_) Write(", ");
    if (values[i].is_nil()) {
      Write("<nil>");
    } else {
      Write(StrCat(values[i].type_name(), "="));
      PrintArg(values[i], 'v');
    }
  }
  Write(")");
}

}  // namespace

std::string Sprint(std::span<const Value> values, size_t bytes_max) {
  Printer printer(bytes_max);
  bool previous_string = true;
  for (size_t i = 0; i < values.size() && !printer.full(); ++i) {
    const bool is_string = values[i].kind() == Kind::kString;
    if (i > 0 && !is_string && !previous_string) printer.Write(" ");
    printer.PrintArg(values[i], 'v');
    previous_string = is_string;
  }
  return printer.Take();
}

std::string Sprintln(std::span<const Value> values, size_t bytes_max) {
  Printer printer(bytes_max);
  for (size_t i = 0; i < values.size() && !printer.full(); ++i) {
    if (i > 0) printer.Write(" ");
    printer.PrintArg(values[i], 'v');
  }
  printer.Write("\n");
  return printer.Take();
}

std::string Sprintf(std::string_view format, std::span<const Value> values, size_t bytes_max) {
  Printer printer(bytes_max);
  printer.Format(format, values);
  return printer.Take();
}

}  // namespace narthex::gotemplate
