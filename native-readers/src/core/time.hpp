// The kernel's clocks, milliseconds.
#pragma once

#include <ctime>

namespace readers {

[[nodiscard]] inline double clock_ms(clockid_t clock) noexcept {
  constexpr double kMsPerSecond = 1e3;
  constexpr double kNanosecondsPerMs = 1e6;
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * kMsPerSecond + static_cast<double>(now.tv_nsec) / kNanosecondsPerMs;
}

[[nodiscard]] inline double monotonic_ms() noexcept { return clock_ms(CLOCK_MONOTONIC); }
[[nodiscard]] inline double wall_ms() noexcept { return clock_ms(CLOCK_REALTIME); }

}  // namespace readers
