#include "readers/lane.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>

#include "core/time.hpp"
#include "readers/machine.hpp"
#include "readers/view_build.hpp"

namespace readers {
namespace {

constexpr uint32_t kWordBits = 32;

std::atomic_ref<int32_t> shared(std::span<int32_t> words, int32_t at) noexcept {
  return std::atomic_ref<int32_t>(words[static_cast<size_t>(at)]);
}

double& number_at(std::span<double> floats, int32_t at) noexcept { return floats[static_cast<size_t>(at)]; }

}  // namespace

bool Lane::is_sound(const ReplayLayout& layout) const noexcept {
  const auto words = static_cast<int64_t>(control.size());
  if (layout.due_words <= 0 || layout.due < 0 || layout.planned < 0) return false;
  if (std::max(layout.due, layout.planned) + int64_t{layout.due_words} > words) return false;
  const auto lies_in = [](int64_t size) { return [size](int32_t at) { return at >= 0 && at < size; }; };
  const std::array plain{layout.stop, layout.mail, layout.current, layout.busy, layout.plan, layout.fence};
  const std::array times{layout.current_ms, layout.batch_ended_ms, layout.batch_cpu_ms, layout.start_at_ms, layout.begun_ms,
                         layout.wake_at_ms, layout.last_plan_ms,   layout.likely_ms,    layout.sleep_ms};
  return std::ranges::all_of(plain, lies_in(words)) && std::ranges::all_of(times, lies_in(static_cast<int64_t>(floats.size())));
}

uint32_t Lane::turn(const ReplayLayout& layout, std::span<const std::unique_ptr<Replay>> replays, ScanTools& tools) noexcept {
  if (shared(control, layout.mail).load() != 0 || shared(control, layout.stop).load() != 0) return kTurnTold;
  uint32_t said = 0;
  if (!begin_plan(layout, monotonic_ms())) said |= kTurnUnplanned;
  const int32_t jobs = run_due(layout, replays, tools);
  if (jobs > 0) return said | kTurnRan | static_cast<uint32_t>(jobs) << kTurnLeftShift;
  if (jobs == 0) {
    said |= kTurnRan;
    if (!ViewBuilds::process().perform(bell)) said |= kTurnUnbuilt;
  }
  number_at(floats, layout.sleep_ms) = sleep_ms(layout, monotonic_ms());
  return said;
}

bool Lane::begin_plan(const ReplayLayout& layout, double now_ms) noexcept {
  const double plan_ms = number_at(floats, layout.start_at_ms);
  double& likely_ms = number_at(floats, layout.likely_ms);
  if (take_plan(layout, now_ms)) {
    double& last_plan_ms = number_at(floats, layout.last_plan_ms);
    likely_ms = plan_ms + (plan_ms - last_plan_ms);
    last_plan_ms = plan_ms;
    return true;
  }
  if (!(now_ms >= likely_ms)) return true;
  likely_ms = std::numeric_limits<double>::quiet_NaN();
  return shared(control, layout.plan).load() != 0;
}

bool Lane::take_plan(const ReplayLayout& layout, double now_ms) noexcept {
  if (shared(control, layout.plan).load() != layout.plan_there || now_ms < number_at(floats, layout.start_at_ms)) return false;
  // Before the plan is taken: the main thread must not see a lane without a plan and idle.
  shared(control, layout.busy).store(1);
  number_at(floats, layout.begun_ms) = now_ms;
  int32_t expected = layout.plan_there;
  if (!shared(control, layout.plan).compare_exchange_strong(expected, layout.plan_begun)) {
    shared(control, layout.busy).store(0);
    return false;
  }
  for (int32_t word = 0; word < layout.due_words; ++word) {
    const int32_t bits = control[static_cast<size_t>(layout.planned + word)];
    if (bits != 0) shared(control, layout.due + word).fetch_or(bits);
  }
  return true;
}

int32_t Lane::run_due(const ReplayLayout& layout, std::span<const std::unique_ptr<Replay>> replays, ScanTools& tools) noexcept {
  const double cpu_before = thread_cpu_seconds();
  double cpu_seconds = cpu_before;
  shared(control, layout.busy).store(1);
  int32_t taken = 0;
  int32_t untouched = 0;
  for (int32_t word = 0; word < layout.due_words; ++word) {
    if (shared(control, layout.due + word).load() == 0) continue;
    auto bits = static_cast<uint32_t>(shared(control, layout.due + word).exchange(0));
    for (; bits != 0; bits &= bits - 1) {
      const auto job = static_cast<uint32_t>(word) * kWordBits + static_cast<uint32_t>(std::countr_zero(bits));
      ++taken;
      Replay* replay = job < replays.size() ? replays[job].get() : nullptr;
      const bool is_own = job < owners.size() && std::atomic_ref<const int32_t>(owners[job]).load() == number;
      if (replay != nullptr && is_own) {
        const double started_ms = monotonic_ms();
        number_at(floats, layout.current_ms) = started_ms;
        shared(control, layout.current).store(static_cast<int32_t>(job) + 1);
        const bool is_done = replay->perform(layout, tools, started_ms, cpu_seconds);
        shared(control, layout.current).store(0);
        if (is_done) continue;
        cpu_seconds = thread_cpu_seconds();
      }
      if (static_cast<size_t>(untouched) < left.size()) left[static_cast<size_t>(untouched++)] = static_cast<int32_t>(job);
    }
  }
  if (taken == 0) {
    shared(control, layout.busy).store(0);
    return -1;
  }
  number_at(floats, layout.batch_cpu_ms) = (cpu_seconds - cpu_before) * 1000;
  if (untouched == 0) {
    number_at(floats, layout.batch_ended_ms) = monotonic_ms();
    shared(control, layout.busy).store(0);
  }
  return untouched;
}

double Lane::sleep_ms(const ReplayLayout& layout, double now_ms) noexcept {
  const double likely_ms = number_at(floats, layout.likely_ms);
  double& wake_at_ms = number_at(floats, layout.wake_at_ms);
  wake_at_ms = likely_ms > now_ms ? likely_ms : std::numeric_limits<double>::infinity();
  // Either the main thread sees when the lane wakes, or the lane sees its plan.
  shared(control, layout.fence).fetch_add(1);
  if (shared(control, layout.plan).load() != layout.plan_there) return wake_at_ms - now_ms;
  wake_at_ms = number_at(floats, layout.start_at_ms);
  return std::max(0.0, wake_at_ms - now_ms);
}

}  // namespace readers
