// What a host lane does each time it wakes: HostControl of src/lanes/host-control.ts and the loop of src/lanes/host.ts, as far
// as they need no JavaScript.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "readers/replay.hpp"

namespace readers {

// What a turn leaves to JavaScript, a bit each; above them the number of jobs that it has to run. Also in src/readers/readers.ts.
enum TurnFlag : uint32_t {
  // There is mail, or the lane is to stop. Nothing else was done.
  kTurnTold = 1,
  // A plan was likely to begin, and none was there.
  kTurnUnplanned = 2,
  // Jobs were due.
  kTurnRan = 4,
  // Views wait for the builder.
  kTurnUnbuilt = 8,
};
inline constexpr uint32_t kTurnLeftShift = 4;

struct Lane {
  std::span<int32_t> control;
  std::span<double> floats;
  std::span<const int32_t> owners;
  int32_t number = 0;
  // Job ids that JavaScript has to run.
  std::span<int32_t> left;
  // Of the builder.
  const void* bell = nullptr;

  // True when the layout's words lie within the control's.
  [[nodiscard]] bool is_sound(const ReplayLayout& layout) const noexcept;
  // Begins the plan whose time has come, performs what is due and can be replayed, and builds the views it has moved. With no
  // job left the batch has been ended, and `sleep_ms` says how long the lane may sleep.
  [[nodiscard]] uint32_t turn(const ReplayLayout& layout, std::span<const std::unique_ptr<Replay>> replays, ScanTools& tools) noexcept;

 private:
  // False when one was likely, and none is there.
  [[nodiscard]] bool begin_plan(const ReplayLayout& layout, double now_ms) noexcept;
  [[nodiscard]] bool take_plan(const ReplayLayout& layout, double now_ms) noexcept;
  // Number of jobs written to `left`, or -1 when nothing was due.
  [[nodiscard]] int32_t run_due(const ReplayLayout& layout, std::span<const std::unique_ptr<Replay>> replays, ScanTools& tools) noexcept;
  [[nodiscard]] double sleep_ms(const ReplayLayout& layout, double now_ms) noexcept;
};

}  // namespace readers
