#include "readers/perf_events.hpp"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <utility>

namespace readers {
namespace {

constexpr pid_t kEveryProcess = -1;
constexpr int kNoGroup = -1;

// What read(2) of such a counter gives: the count, the time it was wanted and the time it ran, nanoseconds.
struct Reading {
  uint64_t value;
  uint64_t enabled;
  uint64_t running;
};

}  // namespace

int PerfEvents::add(uint32_t type, uint64_t config, int cpu, const KeepRule& keep, int cgroup, int leader) noexcept {
  if (cpu < 0 || leader >= static_cast<int>(counters_.size())) return -EINVAL;
  perf_event_attr event{};
  event.size = sizeof event;
  event.type = type;
  event.config = config;
  event.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  event.disabled = 1;
  event.exclude_hv = 1;
  const int group = leader < 0 ? kNoGroup : counters_[static_cast<size_t>(leader)].number();
  const unsigned long flags = cgroup < 0 ? PERF_FLAG_FD_CLOEXEC : PERF_FLAG_FD_CLOEXEC | PERF_FLAG_PID_CGROUP;
  const long number = syscall(SYS_perf_event_open, &event, cgroup < 0 ? kEveryProcess : cgroup, cpu, group, flags);
  if (number < 0) return -errno;
  Descriptor counter(static_cast<int>(number));
  if (!keep.may_keep(counter)) return -EMFILE;
  if (ioctl(counter.number(), PERF_EVENT_IOC_ENABLE, 0) < 0) return -errno;
  counters_.push_back(std::move(counter));
  return static_cast<int>(counters_.size()) - 1;
}

void PerfEvents::read(std::span<double> values, std::span<double> ratios) const noexcept {
  for (size_t i = 0; i < counters_.size() && i < values.size(); ++i) {
    Reading reading{};
    const ssize_t got = ::read(counters_[i].number(), &reading, sizeof reading);
    values[i] = got == static_cast<ssize_t>(sizeof reading) ? static_cast<double>(reading.value) : std::numeric_limits<double>::quiet_NaN();
    if (i >= ratios.size()) continue;
    const bool ran = reading.enabled > 0 && reading.running > 0;
    ratios[i] = ran ? static_cast<double>(reading.running) / static_cast<double>(reading.enabled) : 1;
  }
}

}  // namespace readers
