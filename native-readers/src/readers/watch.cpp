#include "readers/watch.hpp"

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace readers {
namespace {

constexpr uint32_t kEntries = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;
// Hundreds of events with names as long as those of containers.
constexpr size_t kPartBytes = size_t{64} << 10;

}  // namespace

int Watch::open() noexcept {
  const int number = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (number < 0) return errno;
  queue_ = Descriptor(number);
  return 0;
}

int Watch::add(const char* path, bool writes) noexcept {
  const int number = inotify_add_watch(queue_.number(), path, writes ? kEntries | IN_MODIFY : kEntries);
  return number < 0 ? -errno : number;
}

void Watch::remove(int number) noexcept {
  // EINVAL: the kernel was faster.
  static_cast<void>(inotify_rm_watch(queue_.number(), number));
}

int Watch::read(std::vector<uint8_t>& events) noexcept {
  events.clear();
  for (;;) {
    const size_t before = events.size();
    events.resize(before + kPartBytes);
    const ssize_t got = ::read(queue_.number(), events.data() + before, kPartBytes);
    events.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got > 0) continue;
    if (got == 0 || errno == EAGAIN) return 0;
    if (errno != EINTR) return errno;
  }
}

bool Watch::is_quiet() const noexcept {
  int waiting = 0;
  return queue_.is_open() && ioctl(queue_.number(), FIONREAD, &waiting) == 0 && waiting == 0;
}

}  // namespace readers
