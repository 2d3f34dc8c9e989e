#ifndef NARTHEX_LIB_TEXTPARSE_SCAN_H_
#define NARTHEX_LIB_TEXTPARSE_SCAN_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// Searches over the bytes of an exposition, sixteen at a time where the processor can. None reads
// at or behind `end`.
namespace narthex::textparse {

inline bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Names are made of letters, digits and underscores, those of metrics also of colons.
enum class NameKind { kLabel, kMetric };

template <NameKind kKind>
inline bool IsNameChar(char c) {
  return IsNameStart(c) || (c >= '0' && c <= (kKind == NameKind::kMetric ? ':' : '9'));
}

#if defined(__SSE2__)
// One bit a byte: set where the byte, as an unsigned number, lies in first … first + width.
inline __m128i InRange(__m128i bytes, char first, char width) {
  const __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
  return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(width)), offset);
}
inline __m128i Load16(const char* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
#endif

// The first byte in [from, end) that cannot be part of a name, or `end`.
template <NameKind kKind>
inline const char* SkipName(const char* from, const char* end) {
#if defined(__SSE2__)
  while (end - from >= 16) {
    const __m128i bytes = Load16(from);
    // Setting the bit between the cases brings no other byte among the letters.
    const __m128i letters = InRange(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 25);
    const __m128i digits = InRange(bytes, '0', kKind == NameKind::kMetric ? 10 : 9);
    const __m128i underscores = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'));
    const __m128i name = _mm_or_si128(_mm_or_si128(letters, digits), underscores);
    const unsigned others = static_cast<unsigned>(_mm_movemask_epi8(name)) ^ 0xffffu;
    if (others != 0) return from + std::countr_zero(others);
    from += 16;
  }
#endif
  while (from < end && IsNameChar<kKind>(*from)) ++from;
  return from;
}

// The first double quote, backslash or NUL in [from, end), or `end`. Sets *high when a byte before
// it is not ASCII.
inline const char* FindQuote(const char* from, const char* end, bool* high) {
#if defined(__SSE2__)
  while (end - from >= 16) {
    const __m128i bytes = Load16(from);
    const __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                                   _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                                      _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
    const unsigned stops = static_cast<unsigned>(_mm_movemask_epi8(stop));
    const unsigned highs = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (stops != 0) {
      // Only the bytes before the first stop count.
      *high |= (highs & (stops - 1) & ~stops) != 0;
      return from + std::countr_zero(stops);
    }
    *high |= highs != 0;
    from += 16;
  }
#endif
  for (; from < end && *from != '"' && *from != '\\' && *from != '\0'; ++from) {
    *high |= static_cast<unsigned char>(*from) >= 0x80;
  }
  return from;
}

// The first newline in [from, end), or `end`. Sets *plain to false when a byte before it is a
// backslash or not ASCII.
inline const char* FindLineEnd(const char* from, const char* end, bool* plain) {
#if defined(__SSE2__)
  while (end - from >= 16) {
    const __m128i bytes = Load16(from);
    const unsigned stops =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'))));
    // The top bit of a byte that is not ASCII is set already.
    unsigned specials = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')))));
    if (stops != 0) {
      specials &= (stops - 1) & ~stops;
      *plain &= specials == 0;
      return from + std::countr_zero(stops);
    }
    *plain &= specials == 0;
    from += 16;
  }
#endif
  for (; from < end && *from != '\n'; ++from) {
    *plain &= *from != '\\' && static_cast<unsigned char>(*from) < 0x80;
  }
  return from;
}

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_SCAN_H_
