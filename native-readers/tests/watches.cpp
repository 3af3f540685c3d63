// Watches of real directories: what the kernel reports, and what it answers when there is no more of something.
#include "readers/watch.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using readers::Watch;

// How a child says that the kernel does not let it try.
constexpr int kNotPermitted = 77;
// What a queue may hold for the test of its overflow to be worth its time.
constexpr long kLongestQueue = 1 << 17;

struct Event {
  int watch = 0;
  uint32_t mask = 0;
  std::string name;
};

std::vector<Event> read_all(Watch& watch) {
  std::vector<uint8_t> bytes;
  CHECK(watch.read(bytes) == 0);
  std::vector<Event> events;
  for (size_t at = 0; at < bytes.size();) {
    inotify_event event{};
    CHECK(at + sizeof event <= bytes.size());
    std::memcpy(&event, bytes.data() + at, sizeof event);
    const char* name = reinterpret_cast<const char*>(bytes.data() + at + sizeof event);
    CHECK(at + sizeof event + event.len <= bytes.size());
    events.push_back({event.wd, event.mask, std::string(name, strnlen(name, event.len))});
    at += sizeof event + event.len;
  }
  return events;
}

bool is_entry(const Event& event, int watch, uint32_t what, std::string_view name) {
  return event.watch == watch && event.mask == (what | IN_ISDIR) && event.name == name;
}

// A directory with nothing in it, removed with its (empty) directories and its files.
class Folder {
 public:
  Folder() {
    char path[] = "/tmp/readers-watches-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    path_ = path;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    const std::string command = "rm -rf " + path_;
    if (std::system(command.c_str()) != 0) std::perror("rm");
  }

  [[nodiscard]] std::string at(std::string_view name) const { return path_ + "/" + std::string(name); }
  void make(std::string_view name) const { CHECK(mkdir(at(name).c_str(), 0700) == 0); }
  void unmake(std::string_view name) const { CHECK(rmdir(at(name).c_str()) == 0); }
  void write(std::string_view name) const {
    const int file = open(at(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0 && ::write(file, "1", 1) == 1 && close(file) == 0);
  }
  [[nodiscard]] const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

void test_entries() {
  const Folder folder;
  Watch watch;
  CHECK(watch.open() == 0);
  const int number = watch.add(folder.path(), false);
  CHECK(number > 0);
  CHECK(read_all(watch).empty() && watch.is_quiet());
  folder.make("a");
  CHECK(!watch.is_quiet() && !watch.is_quiet());
  CHECK(rename(folder.at("a").c_str(), folder.at("b").c_str()) == 0);
  folder.unmake("b");
  const std::vector<Event> events = read_all(watch);
  CHECK(events.size() == 4);
  CHECK(is_entry(events[0], number, IN_CREATE, "a"));
  CHECK(is_entry(events[1], number, IN_MOVED_FROM, "a"));
  CHECK(is_entry(events[2], number, IN_MOVED_TO, "b"));
  CHECK(is_entry(events[3], number, IN_DELETE, "b"));
  CHECK(read_all(watch).empty() && watch.is_quiet());

  // What is below is another directory's business.
  folder.make("c");
  CHECK(read_all(watch).size() == 1);
  folder.make("c/d");
  CHECK(read_all(watch).empty());
  const int below = watch.add(folder.at("c").c_str(), false);
  CHECK(below > 0 && below != number);
  folder.unmake("c/d");
  const std::vector<Event> second = read_all(watch);
  CHECK(second.size() == 1 && is_entry(second[0], below, IN_DELETE, "d"));
}

void test_writes() {
  const Folder folder;
  Watch watch;
  CHECK(watch.open() == 0);
  const int number = watch.add(folder.path(), false);
  folder.write("file");
  for (const Event& event : read_all(watch)) CHECK((event.mask & (IN_MODIFY | IN_ISDIR)) == 0);
  // The same directory again: the same number, under which writes are told from now on.
  CHECK(watch.add(folder.path(), true) == number);
  folder.write("file");
  const std::vector<Event> events = read_all(watch);
  CHECK(events.size() == 1 && events[0].watch == number && events[0].mask == IN_MODIFY && events[0].name == "file");
}

void test_end_of_watch() {
  const Folder folder;
  folder.make("a");
  Watch watch;
  CHECK(watch.open() == 0);
  const int number = watch.add(folder.at("a").c_str(), true);
  watch.remove(number);
  watch.remove(number);
  watch.remove(-1);
  folder.make("a/b");
  for (const Event& event : read_all(watch)) CHECK(event.watch == number && event.mask == IN_IGNORED);
  // A number is not given out again, so that what was reported of the one before is not taken for the next one's.
  CHECK(watch.add(folder.at("a").c_str(), true) > number);
}

void test_refusals() {
  const Folder folder;
  folder.write("file");
  Watch watch;
  std::vector<uint8_t> events(1);
  CHECK(watch.add(folder.path(), false) == -EBADF);
  CHECK(watch.read(events) == EBADF && events.empty());
  CHECK(watch.open() == 0);
  CHECK(watch.add(folder.at("missing").c_str(), false) == -ENOENT);
  CHECK(watch.add(folder.at("file").c_str(), false) == -ENOTDIR);
  CHECK(watch.add("", false) == -ENOENT);
  watch.close();
  watch.close();
  CHECK(watch.add(folder.path(), false) == -EBADF);
  CHECK(watch.open() == 0 && watch.add(folder.path(), false) > 0);
}

// Names as long as those of containers, so many that one read(2) does not bring them all.
void test_many_events() {
  constexpr size_t kMany = 500;
  const Folder folder;
  Watch watch;
  CHECK(watch.open() == 0);
  const int number = watch.add(folder.path(), true);
  const std::string longest(250, 'x');
  for (size_t i = 0; i < kMany; ++i) folder.make(longest + std::to_string(i));
  const std::vector<Event> events = read_all(watch);
  CHECK(events.size() == kMany);
  for (size_t i = 0; i < kMany; ++i) CHECK(is_entry(events[i], number, IN_CREATE, longest + std::to_string(i)));
}

long queue_length() {
  long length = kLongestQueue + 1;
  if (std::FILE* file = std::fopen("/proc/sys/fs/inotify/max_queued_events", "re")) {
    if (std::fscanf(file, "%ld", &length) != 1) length = kLongestQueue + 1;
    CHECK(std::fclose(file) == 0);
  }
  return length;
}

void test_overflow() {
  const long length = queue_length();
  if (length > kLongestQueue) return;
  const Folder folder;
  Watch watch;
  CHECK(watch.open() == 0);
  const int number = watch.add(folder.path(), false);
  for (long i = 0; i <= length / 2; ++i) {
    folder.make("a");
    folder.unmake("a");
  }
  const std::vector<Event> events = read_all(watch);
  CHECK(!events.empty() && (events.back().mask & IN_Q_OVERFLOW) != 0 && events.back().watch == -1);
  folder.make("b");
  const std::vector<Event> after = read_all(watch);
  CHECK(after.size() == 1 && is_entry(after[0], number, IN_CREATE, "b"));
}

void test_no_descriptor_left() {
  rlimit limits{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limits) == 0);
  const int lowest = dup(STDOUT_FILENO);
  CHECK(lowest >= 0 && close(lowest) == 0);
  const rlimit full{static_cast<rlim_t>(lowest), limits.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &full) == 0);
  Watch watch;
  const int error = watch.open();
  CHECK(setrlimit(RLIMIT_NOFILE, &limits) == 0);
  CHECK(error == EMFILE);
  CHECK(watch.open() == 0);
}

bool lower(const char* limit) {
  const int file = open(limit, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool is_written = write(file, "1", 1) == 1;
  return close(file) == 0 && is_written;
}

// In a child, whose exit status this is.
int watch_with_one_left(const Folder& folder) {
  // EINVAL where a sanitizer has a thread of its own.
  if (unshare(CLONE_NEWUSER) != 0 || !lower("/proc/sys/user/max_inotify_watches") || !lower("/proc/sys/user/max_inotify_instances")) {
    return kNotPermitted;
  }
  Watch watch;
  if (watch.open() != 0) return 1;
  const int first = watch.add(folder.at("a").c_str(), false);
  if (first <= 0) return 2;
  if (watch.add(folder.at("b").c_str(), false) != -ENOSPC) return 3;
  // The one that is there stays, and its place is free once it has ended.
  if (watch.add(folder.at("a").c_str(), true) != first) return 4;
  watch.remove(first);
  if (watch.add(folder.at("b").c_str(), false) <= 0) return 5;
  Watch another;
  return another.open() == EMFILE ? 0 : 6;
}

void test_no_watch_left() {
  const Folder folder;
  folder.make("a");
  folder.make("b");
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) _exit(watch_with_one_left(folder));
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kNotPermitted));
}

}  // namespace

void test_watches() {
  test_entries();
  test_writes();
  test_end_of_watch();
  test_refusals();
  test_many_events();
  test_overflow();
  test_no_descriptor_left();
  test_no_watch_left();
}

}  // namespace tests
