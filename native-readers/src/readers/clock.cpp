#include "readers/clock.hpp"

#include <sys/timex.h>

#include <cerrno>

namespace readers {

int read_clock(std::span<double, kClockNumbers> numbers) noexcept {
  struct timex clock = {};
  const int state = adjtimex(&clock);
  if (state < 0) return -errno;
  const long values[kClockNumbers] = {clock.offset, clock.freq,   clock.maxerror, clock.esterror, clock.status, clock.constant,
                                      clock.tick,   clock.ppsfreq, clock.jitter,  clock.shift,    clock.stabil, clock.jitcnt,
                                      clock.calcnt, clock.errcnt, clock.stbcnt,   clock.tai};
  for (size_t i = 0; i < kClockNumbers; i++) numbers[i] = static_cast<double>(values[i]);
  return state;
}

}  // namespace readers
