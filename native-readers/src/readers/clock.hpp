// What the kernel says of its clock and the discipline of it.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace readers {

// offset, freq, maxerror, esterror, status, constant, tick, ppsfreq, jitter, shift, stabil, jitcnt, calcnt, errcnt, stbcnt, tai
inline constexpr size_t kClockNumbers = 16;

// adjtimex(2) that changes nothing. Returns the clock's state (TIME_OK ... TIME_ERROR), or -errno.
[[nodiscard]] int read_clock(std::span<double, kClockNumbers> numbers) noexcept;

}  // namespace readers
