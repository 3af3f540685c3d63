// Calls that block for real, on a condition the test holds.
#include "readers/mounts.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "check.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using namespace std::chrono_literals;
using readers::kMountNumbers;
using readers::kMountStuck;
using readers::MountCalls;

// A statfs whose paths hang while they are named here. Static because a StatfsFunction carries no state.
struct HangingMounts {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string, std::less<>> hanging;
  std::vector<std::string> calls;
  size_t inside = 0;

  static HangingMounts& instance() {
    static HangingMounts mounts;
    return mounts;
  }

  static int statfs(const char* path, struct statfs* result) {
    HangingMounts& self = instance();
    std::unique_lock lock(self.mutex);
    self.calls.emplace_back(path);
    ++self.inside;
    self.changed.wait(lock, [&] { return !self.hanging.contains(std::string_view(path)); });
    --self.inside;
    if (std::string_view(path) == "/missing") {
      errno = ENOENT;
      return -1;
    }
    result->f_bsize = 4096;
    result->f_blocks = self.calls.size();
    result->f_flags = 0x20 | 1;
    return 0;
  }

  void hang(std::string_view path) {
    const std::lock_guard lock(mutex);
    hanging.emplace(path);
  }
  void release() {
    const std::lock_guard lock(mutex);
    hanging.clear();
    changed.notify_all();
  }
  void forget_calls() {
    const std::lock_guard lock(mutex);
    calls.clear();
  }
  size_t count(std::string_view path) {
    const std::lock_guard lock(mutex);
    size_t found = 0;
    for (const std::string& call : calls) found += call == path ? 1 : 0;
    return found;
  }
};

void wait_for_helpers(MountCalls& registry, size_t count) {
  while (registry.helpers() != count) std::this_thread::sleep_for(1ms);
}

double cpu_seconds() {
  timespec used{};
  CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

struct Run {
  std::vector<std::shared_ptr<MountCalls::Call>> calls;
  std::vector<int32_t> status;
  std::vector<double> numbers;

  Run(MountCalls& registry, const std::vector<std::string>& paths)
      : calls(registry.name(paths)), status(paths.size()), numbers(paths.size() * kMountNumbers, 7.0) {}
  void operator()(MountCalls& registry, std::chrono::milliseconds wait) { registry.run(calls, wait, status, numbers); }
};

// Long enough for calls that do return, however busy the machine is.
constexpr auto kAmple = 60s;
// Short: for runs that are expected to give up.
constexpr auto kShort = 80ms;

void test_all_well(MountCalls& registry) {
  Run run(registry, {"/", "/missing", "/", "/other"});
  run(registry, kAmple);
  CHECK((run.status == std::vector<int32_t>{0, ENOENT, 0, 0}));
  CHECK(run.numbers[0] == 4096 && run.numbers[6] == 1 && run.numbers[kMountNumbers] == 0);
  // The same path twice is one call.
  CHECK(HangingMounts::instance().count("/") == 1);
  wait_for_helpers(registry, 0);
  Run none(registry, {});
  none(registry, kAmple);
  CHECK(registry.helpers() == 0);
}

void test_hanging(MountCalls& registry) {
  HangingMounts& mounts = HangingMounts::instance();
  mounts.hang("/nfs1");
  mounts.hang("/nfs2");
  Run run(registry, {"/nfs1", "/nfs2", "/fine"});
  const double before = cpu_seconds();
  run(registry, 1500ms);
  // Generous: what is to be seen is that nobody spins all the while.
  CHECK(cpu_seconds() - before < 0.5);
  CHECK((run.status == std::vector<int32_t>{kMountStuck, kMountStuck, 0}));
  CHECK(run.numbers[0] == 0);
  wait_for_helpers(registry, 2);

  // Stuck paths are neither called again nor waited for; others still are, also from another object.
  run(registry, kAmple);
  CHECK((run.status == std::vector<int32_t>{kMountStuck, kMountStuck, 0}));
  Run other(registry, {"/fine", "/nfs1"});
  other(registry, kAmple);
  CHECK((other.status == std::vector<int32_t>{0, kMountStuck}));
  CHECK(mounts.count("/nfs1") == 1 && mounts.count("/nfs2") == 1);

  // What a late call brings is the next run's answer, without another call.
  mounts.release();
  wait_for_helpers(registry, 0);
  run(registry, kAmple);
  CHECK((run.status == std::vector<int32_t>{0, 0, 0}));
  CHECK(run.numbers[0] == 4096 && mounts.count("/nfs1") == 1);
  run(registry, kAmple);
  CHECK(mounts.count("/nfs1") == 2);
}

void test_abandoned(MountCalls& registry) {
  // Everyone who named the path has gone when its call returns, and someone names it anew while it hangs.
  HangingMounts& mounts = HangingMounts::instance();
  mounts.hang("/gone");
  {
    Run run(registry, {"/gone"});
    run(registry, kShort);
    CHECK(run.status[0] == kMountStuck);
  }
  {
    Run again(registry, {"/gone"});
    again(registry, kAmple);
    CHECK(again.status[0] == kMountStuck && mounts.count("/gone") == 1);
  }
  mounts.release();
  wait_for_helpers(registry, 0);
}

void test_no_wait(MountCalls& registry) {
  // Nothing is waited for, yet the paths behind a hanging one get their turn.
  HangingMounts& mounts = HangingMounts::instance();
  mounts.hang("/nfs3");
  Run run(registry, {"/nfs3", "/quick"});
  run(registry, 0ms);
  CHECK((run.status == std::vector<int32_t>{kMountStuck, kMountStuck}));
  while (mounts.count("/quick") == 0) {
    run(registry, 0ms);
    std::this_thread::sleep_for(1ms);
  }
  CHECK(mounts.count("/nfs3") == 1);
  mounts.release();
  wait_for_helpers(registry, 0);
}

void test_many_threads(MountCalls& registry) {
  HangingMounts& mounts = HangingMounts::instance();
  mounts.hang("/nfs4");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&registry, thread] {
      for (int round = 0; round < 50; ++round) {
        Run run(registry, {"/a", "/b", thread == 0 ? "/nfs4" : "/c"});
        run(registry, thread == 0 ? std::chrono::milliseconds(1500) : std::chrono::milliseconds(kAmple));
        // Another thread may start the next call before this one has seen its answer: still an answer.
        CHECK(run.status[0] == 0 && run.status[1] == 0);
        CHECK(run.status[2] == (thread == 0 ? kMountStuck : 0));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  mounts.release();
  wait_for_helpers(registry, 0);
  Run run(registry, {"/a", "/b", "/c", "/nfs4"});
  run(registry, kAmple);
  CHECK((run.status == std::vector<int32_t>{0, 0, 0, 0}));
  wait_for_helpers(registry, 0);
}

// A FUSE file system whose server never answers: statfs(2) really hangs in the kernel. In a mount namespace of this thread
// (and the helpers it starts), so that nothing else on the machine meets it. Needs root and /dev/fuse.
void test_real_hang() {
  const int server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (server < 0 || unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::printf("mounts: real hung mount skipped, no /dev/fuse or no right to mount here\n");
    if (server >= 0) close(server);
    return;
  }
  char folder[] = "/tmp/readers-hung-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  const std::string options = "fd=" + std::to_string(server) + ",rootmode=40000,user_id=0,group_id=0";
  if (mount("hung", folder, "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    std::printf("mounts: real hung mount skipped, the kernel has no FUSE\n");
    close(server);
    rmdir(folder);
    return;
  }
  // Of its own: a resting helper of the process's registry is in the namespace it was made in. It outlives its helpers.
  static auto* const own = new MountCalls(&::statfs);
  MountCalls& registry = *own;
  Run run(registry, {folder, "/"});
  run(registry, 1500ms);
  CHECK((run.status == std::vector<int32_t>{kMountStuck, 0}));
  run(registry, kAmple);
  CHECK((run.status == std::vector<int32_t>{kMountStuck, 0}));
  CHECK(registry.helpers() == 1);

  // Without a server the kernel ends the call, and its error is the next run's answer.
  CHECK(close(server) == 0);
  wait_for_helpers(registry, 0);
  run(registry, kAmple);
  CHECK(run.status[0] > 0 && run.status[1] == 0);
  wait_for_helpers(registry, 0);
  CHECK(umount2(folder, MNT_DETACH) == 0);
  CHECK(rmdir(folder) == 0);
  std::printf("mounts: a real hung mount was left alone and came back\n");
}

}  // namespace

void test_mounts() {
  MountCalls registry(&HangingMounts::statfs);
  test_all_well(registry);
  test_hanging(registry);
  test_abandoned(registry);
  test_no_wait(registry);
  test_many_threads(registry);
  // The same with helpers that rest, some of them to the end of the program.
  HangingMounts::instance().forget_calls();
  static auto* const kept = new MountCalls(&HangingMounts::statfs, 20ms);
  MountCalls& resting = *kept;
  test_all_well(resting);
  test_hanging(resting);
  test_abandoned(resting);
  test_no_wait(resting);
  test_many_threads(resting);

  const std::vector<std::string> real = {"/", "/nonexistent/readers"};
  const auto calls = MountCalls::process().name(real);
  std::array<int32_t, 2> status{};
  std::array<double, 2 * kMountNumbers> numbers{};
  MountCalls::process().run(calls, kAmple, status, numbers);
  CHECK(status[0] == 0 && numbers[0] > 0 && status[1] == ENOENT);
  wait_for_helpers(MountCalls::process(), 0);
  test_real_hang();
}

}  // namespace tests
