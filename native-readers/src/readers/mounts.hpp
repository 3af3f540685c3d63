// statfs(2) on threads that may block for ever, as a hung network mount makes them.
#pragma once

#include <sys/statfs.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace readers {

// Per path: block size, blocks, free, available to users, inodes, free inodes, flags (ST_*).
inline constexpr size_t kMountNumbers = 7;
using MountNumbers = std::array<double, kMountNumbers>;

// Status of a path whose call has not returned.
inline constexpr int32_t kMountStuck = -1;

// statfs(2), or what a test puts in its place.
using StatfsFunction = int (*)(const char* path, struct statfs* result);

// The calls of a process, at most one per path.
//
// One helper thread makes them in turn. With nothing left to do it waits a while for more, since making a thread for each
// run costs more than the calls, and then ends. A helper that stays in one call for longer than
// its patience (a run's wait shared out among its paths) is left with that call and another takes the rest: so every path
// gets its turn within one wait even when all of them hang, and a process has as many spare threads as hung mounts.
//
// A helper touches the registry when its call returns, however late: a registry must outlive its helpers, and the
// process's own (process()) is never destroyed.
class MountCalls {
 public:
  // One path's call, shared by all who name the path. Guarded by the registry's mutex.
  class Call;

  // `rest`: how long a helper without work waits for more. A registry that is to be destroyed has none.
  explicit MountCalls(StatfsFunction statfs_function, std::chrono::milliseconds rest = {}) noexcept
      : statfs_(statfs_function), rest_(rest) {}
  MountCalls(const MountCalls&) = delete;
  MountCalls& operator=(const MountCalls&) = delete;

  // The registry all threads of the process share. The one mutable static of the addon: a hung call outlives the worker
  // thread that asked for it, and the next worker must find it instead of hanging a second thread on the same mount.
  static MountCalls& process();

  [[nodiscard]] std::vector<std::shared_ptr<Call>> name(std::span<const std::string> paths);

  // Starts a call for each that has none under way and waits for all of them, at most `wait`, without using CPU.
  // A call that an earlier run has given up on is not waited for again: it is stuck until it returns. What it then brings
  // is the answer of the next run, which starts no call of its own for it: a mount slower than `wait` is late, not lost.
  // status: 0, an errno, or kMountStuck. `numbers` is written where status is 0 and zeroed elsewhere.
  void run(std::span<const std::shared_ptr<Call>> calls, std::chrono::milliseconds wait, std::span<int32_t> status,
           std::span<double> numbers);

  // Threads that are at work or hung; one that rests does not count.
  [[nodiscard]] size_t helpers();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiter;
  struct Helper;

  static void* helper_main(void* argument);
  void work(Helper& self);
  void finish(Call& call, int error, const MountNumbers& numbers) noexcept;
  // Sees to it that someone works on the queue. Without a thread to be had the queued calls fail with its errno.
  void ensure_helper();
  // Leaves the helper with the call it is in and lets another take the rest.
  void replace_helper();
  [[nodiscard]] int start_helper();

  const StatfsFunction statfs_;
  const std::chrono::milliseconds rest_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Call>, std::less<>> calls_;
  std::deque<std::shared_ptr<Call>> queue_;
  // The helper that takes from the queue; null when none does. Valid while it is set: a helper clears it before it ends.
  Helper* current_ = nullptr;
  std::condition_variable work_;
  size_t helpers_ = 0;
};

}  // namespace readers
