#include "readers/tasks.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/folder.hpp"

namespace readers {
namespace {

// Each kept stat file holds a page of the kernel's memory.
constexpr size_t kMostKept = 1024;
// A stat file is one line of 52 fields; the name has at most 64 bytes.
constexpr size_t kStatBytes = 2048;
// Words behind the state up to the number of threads (proc_pid_stat(5), fields 3 and 20).
constexpr int kWordsToThreads = 17;
constexpr size_t kPathBytes = 64;

// The number that a name is; nothing for other names, and for those too large for a task.
std::optional<uint32_t> task_number(const char* name) noexcept {
  const char* end = name + std::strlen(name);
  uint32_t number = 0;
  const auto [stop, error] = std::from_chars(name, end, number);
  return error == std::errc{} && stop == end && end != name ? std::optional(number) : std::nullopt;
}

std::string_view next_word(std::string_view& line) noexcept {
  const size_t start = line.find_first_not_of(" \t\n");
  line.remove_prefix(start == std::string_view::npos ? line.size() : start);
  const std::string_view word = line.substr(0, line.find_first_of(" \t\n"));
  line.remove_prefix(word.size());
  return word;
}

bool is_gone(int error) noexcept { return error == ESRCH || error == ENOENT || error == ENOTDIR; }

// Bytes read from the start of a file, or a negative errno.
ssize_t read_start(const Descriptor& file, std::span<char> room) noexcept {
  ssize_t got = 0;
  do {
    got = pread(file.number(), room.data(), room.size(), 0);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : got;
}

// Numbers in a folder, in ascending order (which is the kernel's own).
int list_numbers(const Descriptor& folder, std::vector<uint32_t>& numbers) noexcept {
  numbers.clear();
  const int error = list_names(folder, [&](const char* name) {
    if (const auto number = task_number(name)) numbers.push_back(*number);
  });
  if (!std::is_sorted(numbers.begin(), numbers.end())) std::sort(numbers.begin(), numbers.end());
  return error;
}

}  // namespace

int TaskCensus::look(const KeepRule& keep, TaskCounts& counts, std::string& place) {
  place.clear();
  if (const int error = list_processes(); error != 0) return error;
  for (Process& process : processes_) {
    std::array<char, kPathBytes> path{};
    std::snprintf(path.data(), path.size(), "%u/stat", process.self.id);
    Stat stat;
    if (const int error = read(process.self, path.data(), keep, stat); error != 0) {
      if (is_gone(error)) continue;
      place = path.data();
      return error;
    }
    counts.pids += 1;
    counts.thread_total += stat.threads;
    counts.processes[stat.state] += 1;
    counts.threads[stat.state] += 1;
    if (stat.threads == 1) {
      for (Task& task : process.others) drop(task);
      process.others.clear();
      process.listed = 1;
      continue;
    }
    const bool is_known = process.listed == stat.threads && process.others.size() + 1 == stat.threads;
    process.listed = is_known ? stat.threads : 0;
    if (const int error = count_threads(process, keep, counts, place); error != 0) return error;
    process.listed = stat.threads;
  }
  return 0;
}

int TaskCensus::list_processes() {
  int error = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const bool was_open = folder_.is_open();
    if (!was_open) {
      error = folder_.open(procfs_.empty() ? "/" : procfs_.c_str());
      if (error != 0) return error;
    }
    error = list_numbers(folder_, ids_);
    if (error == 0 && !ids_.empty()) break;
    // What was mounted there before may be gone.
    folder_.close();
    if (!was_open) break;
  }
  if (error != 0) return error;
  std::vector<Process> former = std::move(processes_);
  processes_.clear();
  processes_.reserve(ids_.size());
  auto next = former.begin();
  for (const uint32_t id : ids_) {
    for (; next != former.end() && next->self.id < id; ++next) {
      drop(next->self);
      for (Task& task : next->others) drop(task);
    }
    if (next != former.end() && next->self.id == id) {
      processes_.push_back(std::move(*next++));
    } else {
      processes_.emplace_back();
      processes_.back().self.id = id;
    }
  }
  for (; next != former.end(); ++next) {
    drop(next->self);
    for (Task& task : next->others) drop(task);
  }
  return 0;
}

int TaskCensus::list_threads(Process& process, std::string& place) {
  std::array<char, kPathBytes> path{};
  std::snprintf(path.data(), path.size(), "%u/task", process.self.id);
  std::vector<uint32_t> ids;
  Descriptor folder;
  int error = folder.open_below(folder_, path.data());
  if (error == 0) error = list_numbers(folder, ids);
  if (error != 0 && !is_gone(error)) {
    place = path.data();
    return error;
  }
  std::vector<Task> former = std::move(process.others);
  process.others.clear();
  for (const uint32_t id : ids) {
    if (id == process.self.id) continue;
    const auto known = std::find_if(former.begin(), former.end(), [id](const Task& task) { return task.id == id; });
    if (known != former.end()) {
      process.others.push_back(std::move(*known));
      known->id = 0;
    } else {
      process.others.push_back({id, Descriptor()});
    }
  }
  for (Task& task : former) drop(task);
  return 0;
}

int TaskCensus::count_threads(Process& process, const KeepRule& keep, TaskCounts& counts, std::string& place) {
  for (bool is_fresh = process.listed == 0;;) {
    if (is_fresh) {
      if (const int error = list_threads(process, place); error != 0) return error;
    }
    states_.clear();
    bool has_ended = false;
    for (Task& task : process.others) {
      std::array<char, kPathBytes> path{};
      std::snprintf(path.data(), path.size(), "%u/task/%u/stat", process.self.id, task.id);
      Stat stat;
      const int error = read(task, path.data(), keep, stat);
      if (is_gone(error)) {
        has_ended = true;
        continue;
      }
      if (error != 0) {
        place = path.data();
        return error;
      }
      states_.push_back(stat.state);
    }
    // Another may have begun where one has ended.
    if (!has_ended || is_fresh) break;
    is_fresh = true;
  }
  for (const uint8_t state : states_) counts.threads[state] += 1;
  return 0;
}

int TaskCensus::read(Task& task, const char* path, const KeepRule& keep, Stat& stat) noexcept {
  std::array<char, kStatBytes> bytes;
  ssize_t got = task.stat.is_open() ? read_start(task.stat, bytes) : -ESRCH;
  if (got < 0) {
    // Not kept, or the task has ended and another may have its number.
    drop(task);
    if (const int error = task.stat.open_below(folder_, path); error != 0) return error;
    got = read_start(task.stat, bytes);
    if (got >= 0 && kept_ < kMostKept && keep.may_keep(task.stat)) {
      ++kept_;
    } else {
      task.stat.close();
    }
    if (got < 0) return static_cast<int>(-got);
  }
  std::string_view line(bytes.data(), static_cast<size_t>(got));
  // The name is in parentheses and may hold anything.
  const size_t close = line.rfind(')');
  if (close == std::string_view::npos) return kMalformedStat;
  line.remove_prefix(close + 1);
  const std::string_view state = next_word(line);
  std::string_view threads;
  for (int i = 0; i < kWordsToThreads; ++i) threads = next_word(line);
  if (state.size() != 1) return kMalformedStat;
  const auto [stop, failure] = std::from_chars(threads.data(), threads.data() + threads.size(), stat.threads);
  if (failure != std::errc{} || stop != threads.data() + threads.size()) return kMalformedStat;
  stat.state = static_cast<uint8_t>(state.front());
  return 0;
}

void TaskCensus::drop(Task& task) noexcept {
  if (task.stat.is_open()) --kept_;
  task.stat.close();
}

void TaskCensus::close() noexcept {
  for (Process& process : processes_) {
    drop(process.self);
    for (Task& task : process.others) drop(task);
  }
  processes_.clear();
  folder_.close();
}

}  // namespace readers
