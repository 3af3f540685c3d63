#include "readers/source.hpp"

#include <poll.h>
#include <sys/vfs.h>

#include <cerrno>

#include "core/time.hpp"

namespace readers {
namespace {

// CGROUP_PIDLIST_DESTROY_DELAY of kernel/cgroup/cgroup-v1.c is a second; the thread that does it may be late.
constexpr double kLingersMs = 1200;

}  // namespace

int BaseFolder::open(const char* path, Descriptor& file) noexcept {
  if (!folder_.is_open()) {
    if (const int error = folder_.open(path_.c_str()); error != 0) return error;
  }
  return file.open_below(folder_, path);
}

int Source::read(const Format& format, const KeepRule& keep, TextBuffer& buffer) noexcept {
  if (format.lingers) forget_lingering();
  const bool was_open = file_.is_open();
  if (!was_open) {
    if (const int error = open(); error != 0) return error;
  }
  int error = read_open(format, buffer);
  // A kept folder that is gone is empty or says so; another may stand in its place.
  if (format.names && was_open && (error != 0 || buffer.view().empty())) {
    error = open();
    if (error == 0) error = read_open(format, buffer);
  }
  // After an error the path is opened anew: the object may have gone (ENODEV, ESRCH), or another have taken its place. An
  // attribute that says that the device has no such figure is still there.
  const bool is_answer = format.attribute && (error == EINVAL || error == EOPNOTSUPP);
  if (format.reopen || (error != 0 && !is_answer) || !keep.may_keep(file_)) file_.close();
  if (error == 0) size_ = buffer.view().size();
  return error;
}

void Source::forget_lingering() noexcept {
  const double now = monotonic_ms();
  if (now - read_ms_ < kLingersMs) file_.close();
  read_ms_ = now;
}

int Source::read_open(const Format& format, TextBuffer& buffer) noexcept {
  if (format.names) return buffer.read_names(file_, format.cap);
  return format.attribute ? buffer.read_attribute(file_) : buffer.read_whole(file_, format.cap, format.record, size_);
}

ScanResult Source::scan(const Format& format, const KeepRule& keep, TextBuffer& buffer, std::span<double> room) noexcept {
  if (const int error = read(format, keep, buffer); error != 0) {
    known_ = false;
    return {ScanState::failed, error};
  }
  return rescan(format, buffer.view(), room);
}

ScanResult Source::rescan(const Format& format, std::string_view text, std::span<double> room) noexcept {
  const Scan now = scan_text(text, format, room);
  if (now.count > room.size()) return {ScanState::need_more, 0, now.count};
  const bool same = known_ && now.shape == last_.shape && now.count == last_.count;
  last_ = now;
  known_ = true;
  return {same ? ScanState::same : ScanState::changed, 0, now.count};
}

bool Source::is_still() noexcept {
  constexpr auto kProcfs = 0x9fa0;
  struct statfs where {};
  // A file of another file system never tells.
  if (!known_ || !file_.is_open() || fstatfs(file_.number(), &where) != 0 || where.f_type != kProcfs) return false;
  pollfd asked{file_.number(), POLLPRI, 0};
  return poll(&asked, 1, 0) == 0;
}

}  // namespace readers
