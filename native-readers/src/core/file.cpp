#include "core/file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "core/folder.hpp"

namespace readers {
namespace {

constexpr size_t kFirstCapacity = size_t{64} << 10U;
// The kernel adds a byte to what /proc/sys is asked for: with it this is a page.
constexpr size_t kSmallRead = 4095;

// pread(2), repeated when a signal interrupted it. Returns the bytes read or a negative errno.
ssize_t read_at(const Descriptor& file, char* into, size_t room, size_t offset) noexcept {
  ssize_t got = 0;
  do {
    got = pread(file.number(), into, room, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : got;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = other.release();
  }
  return *this;
}

int Descriptor::release() noexcept {
  const int number = number_;
  number_ = -1;
  return number;
}

int Descriptor::open(const char* path) noexcept { return open_below(Descriptor(), path); }

int Descriptor::open_below(const Descriptor& folder, const char* path) noexcept {
  close();
  do {
    number_ = ::openat(folder.is_open() ? folder.number() : AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  } while (number_ < 0 && errno == EINTR);
  return number_ < 0 ? errno : 0;
}

void Descriptor::close() noexcept {
  // Not repeated on EINTR: Linux has released the number by then.
  if (number_ >= 0) ::close(release());
}

bool TextBuffer::grow_to(size_t capacity) noexcept {
  if (capacity <= capacity_) return true;
  auto* grown = static_cast<char*>(std::realloc(bytes_.get(), capacity));
  if (grown == nullptr) return false;
  static_cast<void>(bytes_.release());
  bytes_.reset(grown);
  capacity_ = capacity;
  return true;
}

int TextBuffer::read_whole(const Descriptor& file, size_t cap, bool one_record, size_t expected) noexcept {
  size_ = 0;
  if (!grow_to(kFirstCapacity)) return ENOMEM;
  size_t size = 0;
  size_t offered = expected <= kSmallRead / 2 ? kSmallRead : capacity_;
  for (;;) {
    // One byte more than the cap is asked for, which tells "exactly the cap" from "too large".
    if (size == capacity_ && !grow_to(std::min(capacity_ * 2, std::max(cap + 1, kFirstCapacity)))) return ENOMEM;
    const size_t room = std::min(offered, capacity_ - size);
    const ssize_t got = read_at(file, bytes_.get() + size, room, size);
    if (got < 0) return static_cast<int>(-got);
    if (got == 0) break;
    const bool is_short = static_cast<size_t>(got) < room;
    if (!is_short) offered = SIZE_MAX;
    size += static_cast<size_t>(got);
    if (size > cap) return EFBIG;
    if (one_record && is_short) break;
  }
  size_ = size;
  return 0;
}

int TextBuffer::read_names(const Descriptor& folder, size_t cap) noexcept {
  size_ = 0;
  if (!grow_to(kFirstCapacity)) return ENOMEM;
  int error = 0;
  size_t size = 0;
  const int failed = list_names(folder, [&](const char* name) {
    const size_t length = std::strlen(name) + 1;
    if (error == 0 && size + length > cap) error = EFBIG;
    if (error == 0 && size + length > capacity_ && !grow_to(capacity_ * 2)) error = ENOMEM;
    if (error != 0) return;
    std::memcpy(bytes_.get() + size, name, length);
    size += length;
  });
  if (failed != 0 || error != 0) return failed != 0 ? failed : error;
  size_ = size;
  return 0;
}

int TextBuffer::read_attribute(const Descriptor& file) noexcept {
  size_ = 0;
  if (!grow_to(kFirstCapacity)) return ENOMEM;
  const ssize_t got = read_at(file, bytes_.get(), kAttributeBytes, 0);
  if (got < 0) return static_cast<int>(-got);
  size_ = static_cast<size_t>(got);
  return 0;
}

KeepRule::KeepRule() noexcept : keep_below_(INT_MAX) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  keep_below_ = static_cast<int>(std::min<rlim_t>(limit.rlim_cur / 4 * 3, INT_MAX));
}

}  // namespace readers
