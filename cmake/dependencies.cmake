# Every third-party library, looked up once and wrapped as narthex::dep_<name>. Which folder may use which is in
# ARCHITECTURE.md; tests/tidy checks the includes.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)

function(narthex_dependency name)
  add_library(narthex_dep_${name} INTERFACE)
  target_link_libraries(narthex_dep_${name} INTERFACE ${ARGN})
  add_library(narthex::dep_${name} ALIAS narthex_dep_${name})
endfunction()

function(narthex_find_header name header)
  find_path(NARTHEX_${name}_INCLUDE ${header} REQUIRED)
endfunction()

narthex_dependency(threads Threads::Threads)
narthex_dependency(grpc gRPC::grpc++ gRPC::grpc++_reflection protobuf::libprotobuf)
narthex_dependency(absl
  absl::status absl::statusor absl::strings absl::str_format absl::time absl::synchronization
  absl::flat_hash_map absl::flat_hash_set absl::btree absl::node_hash_map absl::inlined_vector absl::hash absl::span
  absl::cleanup absl::core_headers)
narthex_dependency(yaml yaml-cpp)
narthex_dependency(curl CURL::libcurl)
narthex_dependency(openssl OpenSSL::SSL OpenSSL::Crypto)
narthex_dependency(zlib ZLIB::ZLIB)
narthex_dependency(prometheus prometheus-cpp::core)

find_library(NARTHEX_HTTPLIB_LIBRARY cpp-httplib REQUIRED)
narthex_find_header(httplib httplib.h)
narthex_dependency(httplib ${NARTHEX_HTTPLIB_LIBRARY} OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB Threads::Threads)
# The library was built with these; without the first, httplib::Request has another layout.
target_compile_definitions(narthex_dep_httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT)

find_library(NARTHEX_RE2_LIBRARY re2 REQUIRED)
narthex_find_header(re2 re2/re2.h)
narthex_dependency(re2 ${NARTHEX_RE2_LIBRARY})

find_library(NARTHEX_ZSTD_LIBRARY zstd REQUIRED)
narthex_find_header(zstd zstd.h)
narthex_dependency(zstd ${NARTHEX_ZSTD_LIBRARY})

find_library(NARTHEX_SNAPPY_LIBRARY snappy REQUIRED)
narthex_find_header(snappy snappy.h)
narthex_dependency(snappy ${NARTHEX_SNAPPY_LIBRARY})

find_library(NARTHEX_CARES_LIBRARY cares REQUIRED)
narthex_find_header(cares ares.h)
narthex_dependency(cares ${NARTHEX_CARES_LIBRARY})

find_library(NARTHEX_SIMDJSON_LIBRARY simdjson REQUIRED)
narthex_find_header(simdjson simdjson.h)
narthex_dependency(simdjson ${NARTHEX_SIMDJSON_LIBRARY})

find_library(NARTHEX_XXHASH_LIBRARY xxhash REQUIRED)
narthex_find_header(xxhash xxhash.h)
narthex_dependency(xxhash ${NARTHEX_XXHASH_LIBRARY})

narthex_find_header(cli11 CLI/CLI.hpp)
add_library(narthex_dep_cli11 INTERFACE)
add_library(narthex::dep_cli11 ALIAS narthex_dep_cli11)

narthex_find_header(catch2 catch2/catch.hpp)
find_program(NARTHEX_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
