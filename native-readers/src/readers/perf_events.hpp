// Counters of perf_event_open(2) that count all processes of one CPU, or those of a cgroup while they run on it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/file.hpp"

namespace readers {

class PerfEvents {
 public:
  // Opens and starts a counter; it counts from 0. Returns its position, or -errno; EMFILE where its descriptor may not be kept.
  // `cgroup`: descriptor of its directory, or -1. `leader`: position of the counter that it runs together with, or -1.
  [[nodiscard]] int add(uint32_t type, uint64_t config, int cpu, const KeepRule& keep, int cgroup = -1, int leader = -1) noexcept;
  // The counters by position; NaN for one that cannot be read (its CPU is off). `values` has at least size() numbers, and so
  // has `ratios` unless it is empty: the part of the wanted time in which a counter ran, 1 where either is 0.
  void read(std::span<double> values, std::span<double> ratios = {}) const noexcept;
  [[nodiscard]] size_t size() const noexcept { return counters_.size(); }
  void close() noexcept { counters_.clear(); }

 private:
  std::vector<Descriptor> counters_;
};

}  // namespace readers
