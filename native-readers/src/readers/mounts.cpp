#include "readers/mounts.hpp"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace readers {
namespace {

// statfs(2) needs next to nothing; hung helpers should cost as little.
constexpr size_t kHelperStackBytes = size_t{64} << 10U;

// Longer than the usual interval between two runs.
constexpr std::chrono::milliseconds kRest{40'000};

// Says that f_flags is filled in (include/linux/statfs.h, ST_VALID); glibc has no name for it and hides it in statvfs(3).
constexpr int64_t kFlagsAreValid = 0x20;

MountNumbers numbers_of(const struct statfs& raw) noexcept {
  return {static_cast<double>(raw.f_bsize),  static_cast<double>(raw.f_blocks), static_cast<double>(raw.f_bfree),
          static_cast<double>(raw.f_bavail), static_cast<double>(raw.f_files),  static_cast<double>(raw.f_ffree),
          static_cast<double>(raw.f_flags & ~kFlagsAreValid)};
}

// A detached thread with a small stack and all signals blocked: signals of the process are node's to handle.
int start_detached(void* (*body)(void*), void* argument) noexcept {
  pthread_attr_t attributes;
  if (const int error = pthread_attr_init(&attributes); error != 0) return error;
  int error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (error == 0) error = pthread_attr_setstacksize(&attributes, kHelperStackBytes);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  if (error == 0) error = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (error == 0) {
    pthread_t thread{};
    error = pthread_create(&thread, &attributes, body, argument);
    // Restoring a mask that was just read cannot fail.
    static_cast<void>(pthread_sigmask(SIG_SETMASK, &before, nullptr));
  }
  static_cast<void>(pthread_attr_destroy(&attributes));
  return error;
}

}  // namespace

// A run that waits. Lives on its stack; calls point to it only while the run holds or waits on the mutex.
struct MountCalls::Waiter {
  size_t calls_left = 0;
  std::condition_variable done;
};

class MountCalls::Call {
 public:
  enum class State : uint8_t { idle, queued, running };

  explicit Call(std::string mount_path) : path(std::move(mount_path)) {}

  // A late call that merely stands in the queue is not to blame and is waited for again.
  [[nodiscard]] bool is_stuck() const noexcept { return late && state == State::running; }

  const std::string path;
  State state = State::idle;
  // A run has given up on the call under way.
  bool late = false;
  // Calls that have returned.
  uint64_t answers = 0;
  // A late call has returned and nobody has had its answer yet.
  bool unread = false;
  int32_t error = 0;
  MountNumbers numbers{};
  std::vector<Waiter*> waiters;
};

struct MountCalls::Helper {
  MountCalls* registry;
  // When the call under way began.
  Clock::time_point since;
  // Left with its call; another has taken over.
  bool replaced = false;
  bool rests = false;
};

MountCalls& MountCalls::process() {
  static auto* const registry = new MountCalls(&::statfs, kRest);
  return *registry;
}

std::vector<std::shared_ptr<MountCalls::Call>> MountCalls::name(std::span<const std::string> paths) {
  const std::lock_guard lock(mutex_);
  std::erase_if(calls_, [](const auto& entry) { return entry.second.expired(); });
  std::vector<std::shared_ptr<Call>> named;
  named.reserve(paths.size());
  for (const std::string& path : paths) {
    auto& known = calls_[path];
    auto call = known.lock();
    if (!call) known = call = std::make_shared<Call>(path);
    named.push_back(std::move(call));
  }
  return named;
}

void MountCalls::run(std::span<const std::shared_ptr<Call>> calls, std::chrono::milliseconds wait,
                     std::span<int32_t> status, std::span<double> numbers) {
  std::unique_lock lock(mutex_);
  const Clock::time_point deadline = Clock::now() + wait;
  const Clock::duration patience = Clock::duration(wait) / static_cast<int64_t>(calls.size() + 1);
  Waiter self;
  // The number of each call's answer this run is content with. Counted, because another run may start a call anew between
  // the answer and this run's waking up.
  std::vector<uint64_t> wanted;
  wanted.reserve(calls.size());
  for (const auto& call : calls) {
    wanted.push_back(call->answers + (call->unread ? 0 : 1));
    if (call->unread || call->is_stuck()) continue;
    if (call->state == Call::State::idle) {
      call->state = Call::State::queued;
      queue_.push_back(call);
    }
    call->waiters.push_back(&self);
    ++self.calls_left;
  }
  if (self.calls_left > 0) ensure_helper();

  while (self.calls_left > 0 && Clock::now() < deadline) {
    Clock::time_point wake = deadline;
    if (!queue_.empty() && current_ != nullptr) {
      const Clock::time_point impatient = current_->since + patience;
      if (Clock::now() >= impatient) {
        replace_helper();
        continue;
      }
      wake = std::min(wake, impatient);
    }
    self.done.wait_until(lock, wake);
  }
  // Nobody may be waiting from here on: what is queued behind a hanging call must not depend on it.
  if (self.calls_left > 0 && !queue_.empty()) replace_helper();

  for (size_t i = 0; i < calls.size(); ++i) {
    Call& call = *calls[i];
    std::erase(call.waiters, &self);
    const bool answered = call.answers >= wanted[i];
    if (answered) {
      call.unread = false;
    } else {
      call.late = true;
    }
    const auto own = numbers.subspan(i * kMountNumbers, kMountNumbers);
    status[i] = answered ? call.error : kMountStuck;
    std::fill(own.begin(), own.end(), 0.0);
    if (status[i] == 0) std::copy(call.numbers.begin(), call.numbers.end(), own.begin());
  }
}

size_t MountCalls::helpers() {
  const std::lock_guard lock(mutex_);
  return helpers_ - (current_ != nullptr && current_->rests ? 1 : 0);
}

void MountCalls::ensure_helper() {
  if (queue_.empty()) return;
  if (current_ != nullptr) {
    if (current_->rests) {
      current_->since = Clock::now();
      work_.notify_all();
    }
    return;
  }
  const int error = start_helper();
  if (error == 0) return;
  for (; !queue_.empty(); queue_.pop_front()) finish(*queue_.front(), error, {});
}

void MountCalls::replace_helper() {
  if (current_ != nullptr) {
    current_->replaced = true;
    work_.notify_all();
  }
  current_ = nullptr;
  ensure_helper();
}

int MountCalls::start_helper() {
  auto helper = std::make_unique<Helper>(Helper{this, Clock::now()});
  if (const int error = start_detached(helper_main, helper.get()); error != 0) return error;
  ++helpers_;
  current_ = helper.release();
  return 0;
}

void* MountCalls::helper_main(void* argument) {
  const std::unique_ptr<Helper> self(static_cast<Helper*>(argument));
  self->registry->work(*self);
  return nullptr;
}

void MountCalls::work(Helper& self) {
  std::unique_lock lock(mutex_);
  while (!self.replaced) {
    if (queue_.empty()) {
      if (rest_.count() == 0) break;
      self.rests = true;
      const bool has_work = work_.wait_for(lock, rest_, [&] { return self.replaced || !queue_.empty(); });
      self.rests = false;
      if (!has_work) break;
      continue;
    }
    // Held here as well: the call must outlive everyone who named it.
    const std::shared_ptr<Call> call = std::move(queue_.front());
    queue_.pop_front();
    call->state = Call::State::running;
    self.since = Clock::now();
    lock.unlock();
    struct statfs raw {};
    const int error = statfs_(call->path.c_str(), &raw) == 0 ? 0 : errno;
    lock.lock();
    finish(*call, error, numbers_of(raw));
  }
  if (current_ == &self) current_ = nullptr;
  --helpers_;
}

void MountCalls::finish(Call& call, int error, const MountNumbers& numbers) noexcept {
  call.state = Call::State::idle;
  ++call.answers;
  call.error = error;
  call.numbers = numbers;
  call.unread = call.late;
  call.late = false;
  for (Waiter* waiter : call.waiters) {
    if (--waiter->calls_left == 0) waiter->done.notify_one();
  }
  call.waiters.clear();
}

}  // namespace readers
