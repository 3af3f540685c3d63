// A census of tasks: of a procfs laid out by the test, and of tasks of this program.
#include "readers/tasks.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "check.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using readers::kMalformedStat;
using readers::kTaskStates;
using readers::KeepRule;
using readers::TaskCensus;
using readers::TaskCounts;

struct Census {
  int error = 0;
  std::string place;
  uint32_t pids = 0;
  uint64_t thread_total = 0;
  std::array<uint32_t, kTaskStates> processes{};
  std::array<uint32_t, kTaskStates> threads{};

  [[nodiscard]] uint32_t counted() const { return std::accumulate(threads.begin(), threads.end(), 0U); }
};

Census look(TaskCensus& census) {
  const KeepRule keep;
  Census found;
  TaskCounts counts{found.processes, found.threads};
  found.error = census.look(keep, counts, found.place);
  found.pids = counts.pids;
  found.thread_total = counts.thread_total;
  return found;
}

// A procfs with what is put there, in a folder of its own.
class Procfs {
 public:
  Procfs() {
    char path[] = "/tmp/readers-tasks-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    path_ = path;
  }
  Procfs(const Procfs&) = delete;
  Procfs& operator=(const Procfs&) = delete;
  ~Procfs() { run("rm -rf " + path_); }

  void write(const std::string& name, std::string_view text) const {
    run("mkdir -p $(dirname " + path_ + "/" + name + ")");
    std::FILE* file = std::fopen((path_ + "/" + name).c_str(), "wb");
    CHECK(file != nullptr);
    CHECK(std::fwrite(text.data(), 1, text.size(), file) == text.size());
    CHECK(std::fclose(file) == 0);
  }
  // A task as proc_pid_stat(5) has it: 52 fields, the third is the state, the twentieth the number of threads.
  void task(const std::string& name, const std::string& command, char state, int threads) const {
    std::string line = "7 (" + command + ") " + state;
    for (int field = 4; field <= 52; ++field) line += " " + std::to_string(field == 20 ? threads : -field);
    write(name + "/stat", line + "\n");
  }
  void remove(const std::string& name) const { run("rm -r " + path_ + "/" + name); }
  void link(const std::string& name, const std::string& to) const { CHECK(symlink(to.c_str(), (path_ + "/" + name).c_str()) == 0); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  static void run(const std::string& command) { CHECK(std::system(command.c_str()) == 0); }
  std::string path_;
};

void test_counts() {
  const Procfs procfs;
  procfs.task("1", "init", 'S', 1);
  procfs.task("20", "a) R (b", 'D', 1);
  procfs.task("300", "", 'R', 3);
  procfs.task("300/task/300", "", 'R', 3);
  procfs.task("300/task/301", "", 'S', 3);
  procfs.task("300/task/302", "", 'D', 3);
  procfs.write("self/stat", "no process");
  procfs.write("12x/stat", "no process");
  procfs.write("99999999999/stat", "no process");
  TaskCensus census(procfs.path());
  for (int times = 0; times < 3; ++times) {
    const Census found = look(census);
    CHECK(found.error == 0 && found.pids == 3 && found.thread_total == 5 && found.counted() == 5);
    CHECK(found.processes['S'] == 1 && found.processes['D'] == 1 && found.processes['R'] == 1);
    CHECK(found.threads['S'] == 2 && found.threads['D'] == 2 && found.threads['R'] == 1);
  }
  // Kept open or not: what it says now counts.
  procfs.task("20", "b", 'Z', 1);
  procfs.task("300/task/301", "", 'T', 3);
  const Census moved = look(census);
  CHECK(moved.processes['Z'] == 1 && moved.processes['D'] == 0 && moved.threads['T'] == 1 && moved.counted() == 5);
  census.close();
  CHECK(look(census).counted() == 5);
}

void test_comings_and_goings() {
  const Procfs procfs;
  procfs.task("5", "five", 'S', 2);
  procfs.task("5/task/5", "", 'S', 2);
  procfs.task("5/task/6", "", 'R', 2);
  TaskCensus census(procfs.path());
  CHECK(look(census).counted() == 2);
  // One thread more, and a process between those that are there.
  procfs.task("5", "five", 'S', 3);
  procfs.task("5/task/7", "", 'D', 3);
  procfs.task("3", "three", 'R', 1);
  Census found = look(census);
  CHECK(found.pids == 2 && found.thread_total == 4 && found.counted() == 4 && found.threads['D'] == 1 && found.threads['R'] == 2);
  // Threads are listed no more once there is only one.
  procfs.remove("5/task");
  procfs.task("5", "five", 'S', 1);
  found = look(census);
  CHECK(found.pids == 2 && found.counted() == 2);
  procfs.remove("5");
  procfs.write("4/comm", "ends as it is looked at");
  found = look(census);
  CHECK(found.error == 0 && found.pids == 1 && found.processes['R'] == 1);
}

void test_faults() {
  const Procfs procfs;
  procfs.task("1", "init", 'S', 1);
  TaskCensus census(procfs.path());
  for (const std::string_view text : {"", "8 (x", "8 (x) ", "8 (x) S 1 2 3", "8 (x) SS 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 1 21"}) {
    procfs.write("8/stat", text);
    const Census found = look(census);
    CHECK(found.error == kMalformedStat && found.place == "8/stat");
  }
  procfs.write("8/stat", "8 (x) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 many 21");
  CHECK(look(census).error == kMalformedStat);
  procfs.task("8", "x", 'S', 2);
  procfs.write("8/task/9/stat", "nonsense");
  Census found = look(census);
  CHECK(found.error == kMalformedStat && found.place == "8/task/9/stat");
  procfs.task("8/task/9", "x", 'R', 2);
  found = look(census);
  CHECK(found.error == 0 && found.counted() == 3);

  TaskCensus nowhere("/nonexistent/proc");
  found = look(nowhere);
  CHECK(found.error == ENOENT && found.place.empty());
}

// Threads that wait until they are let go, one after the other.
class Waiting {
 public:
  ~Waiting() {
    while (!threads_.empty()) end();
  }
  void begin() {
    const size_t mine = ++begun_;
    threads_.emplace_back([this, mine] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this, mine] { return ended_ >= mine; });
    });
  }
  // Ends the one that began first.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ++ended_;
    }
    changed_.notify_all();
    threads_.front().join();
    threads_.erase(threads_.begin());
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t begun_ = 0;
  size_t ended_ = 0;
  std::vector<std::thread> threads_;
};

// A joined thread may be listed for a moment yet. The program's alarm ends a wait in vain.
void wait_for(TaskCensus& census, uint64_t threads) {
  for (;;) {
    const Census found = look(census);
    CHECK(found.error == 0 && found.pids == 1);
    if (found.counted() == threads && found.thread_total == threads) return;
    usleep(1000);
  }
}

void test_own_threads() {
  const Procfs procfs;
  const std::string self = std::to_string(getpid());
  procfs.link(self, "/proc/" + self);
  TaskCensus census(procfs.path());
  const uint64_t before = look(census).thread_total;
  CHECK(before >= 1);
  Waiting waiting;
  for (int i = 0; i < 3; ++i) waiting.begin();
  wait_for(census, before + 3);
  // One for one: the number stands still, the descriptor of the one that ended says so.
  waiting.end();
  waiting.begin();
  wait_for(census, before + 3);
  for (int i = 0; i < 3; ++i) waiting.end();
  wait_for(census, before);
}

}  // namespace

void test_tasks() {
  test_counts();
  test_comings_and_goings();
  test_faults();
  test_own_threads();
}

}  // namespace tests
