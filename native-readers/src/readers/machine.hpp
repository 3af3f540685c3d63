// What the kernel says of the machine and of the calling thread.
#pragma once

#include <string>

namespace readers {

// The fields of uname(2).
struct MachineNames {
  std::string sysname, nodename, release, version, machine, domainname;
};

// Returns 0 or an errno.
[[nodiscard]] int read_machine_names(MachineNames& names);

// CPU seconds of the calling thread (CLOCK_THREAD_CPUTIME_ID), user and system together.
[[nodiscard]] double thread_cpu_seconds() noexcept;

}  // namespace readers
