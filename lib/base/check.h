#ifndef NARTHEX_LIB_BASE_CHECK_H_
#define NARTHEX_LIB_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

// NARTHEX_CHECK(condition) ends the process with the place and the condition when the program
// itself is wrong; it stays on in release builds. NARTHEX_DCHECK is the same for hot loops and is
// compiled out under NDEBUG. Neither may be reachable by input.
#define NARTHEX_CHECK_FAILED(text)                                              \
  (std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, text), \
   std::fflush(stderr), std::abort())

#define NARTHEX_CHECK(condition) \
  (static_cast<bool>(condition) ? (void)0 : NARTHEX_CHECK_FAILED(#condition))
#define NARTHEX_CHECK_OK(expression)                                                               \
  do {                                                                                             \
    const absl::Status narthex_check_status = (expression);                                        \
    if (!narthex_check_status.ok()) NARTHEX_CHECK_FAILED(narthex_check_status.ToString().c_str()); \
  } while (false)

#ifdef NDEBUG
#define NARTHEX_DCHECK(condition) ((void)sizeof(static_cast<bool>(condition)))
#else
#define NARTHEX_DCHECK(condition) NARTHEX_CHECK(condition)
#endif

#endif  // NARTHEX_LIB_BASE_CHECK_H_
