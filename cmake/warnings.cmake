# Flags of our own code. Generated code and third-party headers are compiled without them.
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1" CACHE STRING "" FORCE)
set(CMAKE_EXE_LINKER_FLAGS_DEV "" CACHE STRING "" FORCE)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG" CACHE STRING "" FORCE)

set(NARTHEX_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wswitch-enum)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of GCC 12 inside inlined std::string and std::optional code.
  list(APPEND NARTHEX_WARNINGS -Wno-maybe-uninitialized -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-missing-field-initializers)
else()
  list(APPEND NARTHEX_WARNINGS -Wno-missing-field-initializers)
endif()
if(NARTHEX_WERROR)
  list(APPEND NARTHEX_WARNINGS -Werror)
endif()
