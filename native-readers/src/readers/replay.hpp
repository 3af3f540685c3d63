// Runs of a collector's part that need no JavaScript: as long as the text of its files stays the same, a run reads numbers,
// puts them in the slots of its sheet, prints the page and publishes it. Whatever else turns up is left to JavaScript.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "readers/answers.hpp"
#include "readers/device_call.hpp"
#include "readers/mounts.hpp"
#include "readers/netlink.hpp"
#include "readers/page.hpp"
#include "readers/perf_events.hpp"
#include "readers/rows.hpp"
#include "readers/source.hpp"
#include "readers/source_set.hpp"
#include "readers/tasks.hpp"
#include "readers/watch.hpp"

namespace readers {

// Where the shared words of a channel and of a lane's control lie. src/collect/channel.ts and src/lanes/host-control.ts own
// both layouts and hand them over, in this order.
struct ReplayLayout {
  // Int32 words of a channel.
  int32_t state, active, sequence, ending, fallback, shapes, families, bytes, printed, wanted;
  // Phases of `state`, which is run * 4 + phase; the run number wraps at the modulus.
  int32_t idle, running, run_modulus;
  // Float64 words of a channel.
  int32_t page_started, run_started, run_ended, run_seconds, run_cpu_seconds;
  // Int32 words of a control; `due` and `planned` are `due_words` long.
  int32_t stop, mail, current, busy, plan, fence, due, planned, due_words;
  // States of `plan`: one is there, it has been begun.
  int32_t plan_there, plan_begun;
  // Float64 words of a control.
  int32_t current_ms, batch_ended_ms, batch_cpu_ms, start_at_ms, begun_ms, wake_at_ms, last_plan_ms, likely_ms, sleep_ms;
};
inline constexpr size_t kReplayLayoutWords = sizeof(ReplayLayout) / sizeof(int32_t);

inline constexpr uint32_t kNoBound = 0xffffffffU;

// How a number becomes the value of a series.
enum class BoundMode : uint8_t {
  // number * times / over / again
  scaled,
  // As scaled, but a lower value than before is not shown: counters that the kernel lets step back a little.
  rising,
  // As rising; when it falls by `times` or more the counter began anew, which is left to JavaScript. Its scale is `over`.
  restarting,
  // number * numbers[with]
  product,
  // No series: the number must be `times`, since something that JavaScript works out depends on it.
  still,
  // As scaled, but of the sum of this number and every `with`th behind it; the numbers are whole rows of that many.
  sum,
  // As scaled, but 2^53 or more, which a double may not hold exactly, is left to JavaScript.
  exact,
  // As scaled, but the series is left out while the number is 0.
  present,
  // (number - numbers[times]) * numbers[with]
  difference,
};

struct Bound {
  uint32_t at;
  // kNoBound: the number is judged and set nowhere.
  uint32_t slot;
  BoundMode mode;
  uint32_t with;
  double times;
  double over;
  double again;
};

// What a member of a set answered when the steps were written: one number, or always the same error.
struct ExpectedMember {
  uint32_t member;
  int32_t status;
  uint32_t count;
  // Index among the replay's bounds, or kNoBound.
  uint32_t bound;
};
enum class StepKind : uint8_t { scan, set, mounts, wall, until_monotonic, within_wall, uname, stamp, mount_table, table, clock, answer, sockets, tasks, counters, statistics, missing, rows, quiet, word };

// Numbers of a census: processes by the byte of their state, threads likewise, processes, threads that they speak of.
inline constexpr size_t kTaskNumbers = kTaskStates * 2 + 2;

// `needs`: rows that rest are relied on only if witnesses were looked at in the same cycle.
enum class WatchedUse : uint8_t { none, notes, needs };

struct Step {
  StepKind kind;
  // scan, table, set
  Source* source = nullptr;
  SourceSet* set = nullptr;
  const Format* format = nullptr;
  // mounts
  const std::vector<std::shared_ptr<MountCalls::Call>>* calls = nullptr;
  uint32_t wait_ms = 0;
  std::vector<int32_t> mount_status;
  // Flags that each had; they change when a file system turns read-only by itself.
  std::vector<double> mount_flags;
  // set
  std::vector<ExpectedMember> members;
  TaskCensus* tasks = nullptr;
  const PerfEvents* counters = nullptr;
  // statistics
  EthtoolCalls* ethtool = nullptr;
  std::string device;
  uint32_t statistics = 0;
  // answer, sockets
  Question question;
  KnownAnswer known;
  // sockets: type of the messages
  uint16_t type = 0;
  // scan, table, mounts, clock, answer, sockets, tasks, counters, statistics: a range of bounds
  uint32_t first_bound = 0;
  uint32_t bounds = 0;
  // wall
  uint32_t slot = 0;
  // clock: what adjtimex(2) returns; statistics: 0 or an errno
  int32_t state = 0;
  // until_monotonic: [0, to); within_wall: [from, to), milliseconds; missing: not looked for before `to`, nor for `from` afterwards
  double from_ms = 0;
  double to_ms = 0;
  // rows
  RowTable* table = nullptr;
  std::vector<RowFile> row_files;
  RowMemory row_memory;
  // The number brought is the wall clock, whole seconds.
  bool brings_wall = false;
  // When witnesses of all rows were looked at last, CLOCK_MONOTONIC milliseconds, and what this step has to do with it.
  std::span<double> watched_ms;
  WatchedUse watched_use = WatchedUse::none;
  // quiet
  const Watch* watch = nullptr;
  // word: that one of them still is as it was
  std::span<int32_t> words;
  uint32_t word = 0;
  int32_t expected = 0;
  // uname: six fields; missing: path; stamp: path and "device:inode:nanoseconds of the last change", empty when missing
  std::vector<std::string> texts;
};

// One variant of the page.
struct ReplayPage {
  // Its number among the channel's variants.
  uint32_t variant = 0;
  std::span<const uint8_t> blob;
  std::span<const uint32_t> ops;
  uint32_t families = 0;
  std::array<std::span<uint8_t>, 2> pages;
  std::array<std::span<uint32_t>, 2> indexes;
};

// What a thread needs to scan.
struct ScanTools {
  const KeepRule* keep;
  TextBuffer* buffer;
  NetlinkClient* netlink;
  std::vector<double> numbers;
  std::vector<int32_t> status;
};

// All memory is the caller's, who keeps it alive and tells when anything of it has been replaced (by a new Replay).
struct Replay {
  std::vector<Step> steps;
  std::vector<Bound> bounds;
  std::vector<ReplayPage> pages;
  std::span<double> values;
  std::span<uint32_t> stamps;
  // The sheet's run that JavaScript made last: its set of series is the replayed runs' too.
  uint32_t run = 0;
  int32_t shape = 0;
  // Variants that `pages` holds, a bit each.
  int32_t wanted = 0;
  // How the runs end, as the channel's `ending` says it, and the word that counts such ends.
  int32_t ending = 0;
  int32_t counted = 0;
  // Slot of how long the run took, seconds; kNoBound when it is not shown.
  uint32_t duration_slot = kNoBound;
  std::span<int32_t> words;
  std::span<double> floats;

  // Takes their slots from bounds whose series was not set in the run: such a slot may be another series' by now.
  void leave_unset() noexcept;
  // True when every index lies within its array.
  [[nodiscard]] bool is_sound(const ReplayLayout& layout) const noexcept;
  // One run. False when JavaScript has to do it; nothing was published then, and sources count as changed.
  // `cpu_seconds`: of the thread, at the start; after a run that was published, at its end.
  [[nodiscard]] bool perform(const ReplayLayout& layout, ScanTools& tools, double started_ms, double& cpu_seconds) noexcept;

 private:
  [[nodiscard]] bool read_step(Step& step, ScanTools& tools) noexcept;
  [[nodiscard]] bool read_tasks(const Step& step, const KeepRule& keep) noexcept;
  [[nodiscard]] bool read_counters(const Step& step, ScanTools& tools) noexcept;
  [[nodiscard]] bool read_statistics(const Step& step, ScanTools& tools) noexcept;
  [[nodiscard]] bool apply(std::span<const Bound> some, std::span<const double> numbers) noexcept;
  [[nodiscard]] bool print(const ReplayLayout& layout, int32_t running, int32_t buffer, double started_ms) noexcept;
};

}  // namespace readers
