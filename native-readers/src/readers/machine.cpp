#include "readers/machine.hpp"

#include <sys/utsname.h>

#include <cerrno>
#include <ctime>

namespace readers {

int read_machine_names(MachineNames& names) {
  utsname raw{};
  if (uname(&raw) != 0) return errno;
  names = {raw.sysname, raw.nodename, raw.release, raw.version, raw.machine, raw.domainname};
  return 0;
}

double thread_cpu_seconds() noexcept {
  timespec used{};
  // Cannot fail on Linux: the clock is always there.
  static_cast<void>(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used));
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace readers
