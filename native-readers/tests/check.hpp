// The least a test needs: CHECK counts, and the first failure ends the program with its place.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace tests {

// Checks passed so far in this program.
inline std::atomic<size_t>& checks() {
  static std::atomic<size_t> count = 0;
  return count;
}

inline void check(bool good, const char* what, const char* file, int line) {
  if (!good) {
    std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    std::abort();
  }
  ++checks();
}

}  // namespace tests

#define CHECK(condition) ::tests::check((condition), #condition, __FILE__, __LINE__)
