// Counters of perf_event_open(2) that count all processes of one CPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/file.hpp"

namespace readers {

class PerfEvents {
 public:
  // Opens and starts a counter; it counts from 0. Returns its position, or -errno.
  [[nodiscard]] int add(uint32_t type, uint64_t config, int cpu) noexcept;
  // The counters by position; NaN for one that cannot be read (its CPU is off). `values` has at least size() numbers.
  void read(std::span<double> values) const noexcept;
  [[nodiscard]] size_t size() const noexcept { return counters_.size(); }
  void close() noexcept { counters_.clear(); }

 private:
  std::vector<Descriptor> counters_;
};

}  // namespace readers
