// States of all processes and threads, counted where they are read: names and texts of thousands never reach JavaScript.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/file.hpp"

namespace readers {

inline constexpr size_t kTaskStates = 256;

// Counts of one look, by the byte that names a state (proc_pid_stat(5), field 3).
struct TaskCounts {
  std::span<uint32_t> processes;
  // Threads, the first of each process included.
  std::span<uint32_t> threads;
  uint32_t pids = 0;
  // What the processes themselves say of their number of threads.
  uint64_t thread_total = 0;
};

// Errnos, and what no file answers: a text that is no stat file.
inline constexpr int kMalformedStat = -1;

// stat files are kept open (their descriptors answer ESRCH when the task has ended), so that a look costs one read for each
// task. Threads are listed anew when a process says that it has another number of them, or one of them has ended.
class TaskCensus {
 public:
  explicit TaskCensus(std::string procfs) noexcept : procfs_(std::move(procfs)) {}

  // Adds to `counts`. Returns 0, an errno or kMalformedStat; `place` then says which path below procfs ('' for itself).
  [[nodiscard]] int look(const KeepRule& keep, TaskCounts& counts, std::string& place);
  void close() noexcept;

 private:
  struct Task {
    uint32_t id = 0;
    Descriptor stat;
  };
  struct Process {
    Task self;
    // All but the first thread.
    std::vector<Task> others;
    // Threads that the process spoke of when they were listed; 0: never.
    uint64_t listed = 0;
  };
  struct Stat {
    uint8_t state = 0;
    uint64_t threads = 0;
  };

  [[nodiscard]] int list_processes();
  [[nodiscard]] int list_threads(Process& process, std::string& place);
  // ESRCH or ENOENT: it has ended.
  [[nodiscard]] int read(Task& task, const char* path, const KeepRule& keep, Stat& stat) noexcept;
  [[nodiscard]] int count_threads(Process& process, const KeepRule& keep, TaskCounts& counts, std::string& place);
  void drop(Task& task) noexcept;

  std::string procfs_;
  Descriptor folder_;
  // In the order of their numbers.
  std::vector<Process> processes_;
  // Numbers last listed; kept for its room.
  std::vector<uint32_t> ids_;
  // States of the threads of one process; kept for its room.
  std::vector<uint8_t> states_;
  size_t kept_ = 0;
};

}  // namespace readers
