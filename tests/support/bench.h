#ifndef NARTHEX_TESTS_SUPPORT_BENCH_H_
#define NARTHEX_TESTS_SUPPORT_BENCH_H_

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string_view>
#include <vector>

// What benchmarks share: they run a body several times and print the median of what one operation
// took.
namespace narthex::testing {

// Makes the compiler believe that `value` is used.
template <typename T>
void KeepAlive(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

inline double ClockNanos(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The medians over the runs, for one operation.
struct BenchResult {
  double wall_ns = 0;
  double cpu_ns = 0;  // Of the whole process: more than wall_ns where several threads work.
};

struct BenchOptions {
  int runs = 9;
  // A run repeats the body until this has passed.
  double run_seconds = 0.1;
  // Bytes that one operation works on; 0 prints no throughput.
  double bytes = 0;
};

// Runs `body`, which does `operations` operations a call, and prints a line like
//   xor decode, steady counter               2.31 ns   cpu 2.31 ns   (2.28 .. 2.95)   3.2 MB/s
template <typename Body>
BenchResult RunBench(std::string_view name, size_t operations, Body body,
                     const BenchOptions& options = {}) {
  body();  // Warms caches and buffers.
  std::vector<double> wall;
  std::vector<double> cpu;
  for (int run = 0; run < options.runs; ++run) {
    const double wall_start = ClockNanos(CLOCK_MONOTONIC);
    const double cpu_start = ClockNanos(CLOCK_PROCESS_CPUTIME_ID);
    double wall_passed = 0;
    double done = 0;
    do {
      body();
      done += static_cast<double>(operations);
      wall_passed = ClockNanos(CLOCK_MONOTONIC) - wall_start;
    } while (wall_passed < options.run_seconds * 1e9);
    wall.push_back(wall_passed / done);
    cpu.push_back((ClockNanos(CLOCK_PROCESS_CPUTIME_ID) - cpu_start) / done);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  const BenchResult result = {wall[wall.size() / 2], cpu[cpu.size() / 2]};
  std::printf("%-48.*s %10.2f ns   cpu %10.2f ns   (%.2f .. %.2f)", static_cast<int>(name.size()),
              name.data(), result.wall_ns, result.cpu_ns, wall.front(), wall.back());
  if (options.bytes > 0) std::printf("   %.1f MB/s", options.bytes / result.wall_ns * 1e3);
  std::printf("\n");
  std::fflush(stdout);
  return result;
}

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_SUPPORT_BENCH_H_
