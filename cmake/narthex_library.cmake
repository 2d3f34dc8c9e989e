# The build functions. A folder lists its sources; nothing is globbed. DEPS must name targets that are already
# defined, so the order of add_subdirectory is the layer order and a cycle or an upward edge cannot be configured.

# Our headers are included from the root in quotes. Not with -I: the script called stack lies there, and <stack> would find it.
set(NARTHEX_INCLUDE_ROOT "SHELL:-iquote ${PROJECT_SOURCE_DIR}")

function(narthex_check_deps target)
  foreach(dep IN LISTS ARGN)
    if(NOT TARGET ${dep})
      message(FATAL_ERROR "${target} depends on ${dep}, which is not defined yet: either it does not exist, or the "
                          "dependency points up the layers")
    endif()
  endforeach()
endfunction()

# narthex_library(<name> [SRCS a.cc …] [DEPS narthex::x …]): a static library narthex_<name>, alias narthex::<name>.
# Without SRCS it is an interface library (headers only).
function(narthex_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "narthex_library(${name}): unknown arguments ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  set(target narthex_${name})
  narthex_check_deps(${target} ${ARG_DEPS})
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS})
    target_compile_options(${target} PRIVATE ${NARTHEX_WARNINGS})
    target_compile_options(${target} PUBLIC ${NARTHEX_INCLUDE_ROOT})
    target_link_libraries(${target} PUBLIC ${ARG_DEPS})
  else()
    add_library(${target} INTERFACE)
    target_compile_options(${target} INTERFACE ${NARTHEX_INCLUDE_ROOT})
    target_link_libraries(${target} INTERFACE ${ARG_DEPS})
  endif()
  add_library(narthex::${name} ALIAS ${target})
endfunction()

# narthex_proto(<name> PROTO narthex/v1/x.proto [DEPS narthex::proto_y …] [GRPC]): generated under the build tree,
# compiled without our warnings. Includes look like "narthex/v1/x.pb.h".
function(narthex_proto name)
  cmake_parse_arguments(ARG "GRPC" "PROTO" "DEPS" ${ARGN})
  set(target narthex_proto_${name})
  narthex_check_deps(${target} ${ARG_DEPS})
  string(REGEX REPLACE "\\.proto$" "" stem ${ARG_PROTO})
  set(out ${PROJECT_BINARY_DIR}/generated)
  set(outputs ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
  set(plugin_args)
  if(ARG_GRPC)
    list(APPEND outputs ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
    set(plugin_args --plugin=protoc-gen-grpc=${NARTHEX_GRPC_PLUGIN}
        --grpc_out=${out})
  endif()
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND ${Protobuf_PROTOC_EXECUTABLE} -I ${PROJECT_SOURCE_DIR}/proto --cpp_out=${out}
            ${plugin_args} ${PROJECT_SOURCE_DIR}/proto/${ARG_PROTO}
    DEPENDS ${PROJECT_SOURCE_DIR}/proto/${ARG_PROTO}
    VERBATIM)
  add_library(${target} STATIC ${outputs})
  target_include_directories(${target} SYSTEM PUBLIC ${out})
  target_link_libraries(${target} PUBLIC narthex::dep_grpc ${ARG_DEPS})
  add_library(narthex::proto_${name} ALIAS ${target})
endfunction()

# narthex_service(<name> SRCS main.cc LIBS narthex::<name>_app): the program narthex-<name> in bin/.
function(narthex_service name)
  cmake_parse_arguments(ARG "" "" "SRCS;LIBS" ${ARGN})
  narthex_check_deps(narthex-${name} ${ARG_LIBS})
  add_executable(narthex-${name} ${ARG_SRCS})
  target_compile_options(narthex-${name} PRIVATE ${NARTHEX_WARNINGS})
  target_link_libraries(narthex-${name} PRIVATE ${ARG_LIBS})
endfunction()

# narthex_test(<name> SRCS … DEPS … [LABELS unit] [TIMEOUT 120]): one executable a folder; Catch2's header is
# precompiled once and its main object is shared.
function(narthex_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  set(target ${name}_test)
  narthex_check_deps(${target} ${ARG_DEPS})
  add_executable(${target} ${ARG_SRCS})
  target_compile_options(${target} PRIVATE ${NARTHEX_TEST_WARNINGS})
  target_link_libraries(${target} PRIVATE narthex_catch_main ${ARG_DEPS})
  target_precompile_headers(${target} REUSE_FROM narthex_catch_header)
  add_test(NAME ${name} COMMAND ${target})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# narthex_fuzz(<name> SRCS fuzz_x.cc DEPS … CORPUS dir): with preset fuzz a libFuzzer program fuzz_<name>; in every
# other build a test that runs the target over its checked-in corpus.
function(narthex_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS" "SRCS;DEPS" ${ARGN})
  set(target fuzz_${name})
  narthex_check_deps(${target} ${ARG_DEPS})
  if(NARTHEX_FUZZ)
    add_executable(${target} ${ARG_SRCS})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${target} ${ARG_SRCS} ${PROJECT_SOURCE_DIR}/tests/fuzz/run_corpus.cc)
    add_test(NAME ${target} COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
    set_tests_properties(${target} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
  target_link_libraries(${target} PRIVATE ${ARG_DEPS})
endfunction()

# narthex_bench(<name> SRCS … DEPS …): a benchmark program bench_<name>, built with the tests, run by hand.
function(narthex_bench name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  narthex_check_deps(bench_${name} ${ARG_DEPS})
  add_executable(bench_${name} ${ARG_SRCS})
  target_compile_options(bench_${name} PRIVATE ${NARTHEX_TEST_WARNINGS})
  target_link_libraries(bench_${name} PRIVATE ${ARG_DEPS})
endfunction()
