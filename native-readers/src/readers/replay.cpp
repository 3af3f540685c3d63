#include "readers/replay.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <utility>

#include "core/time.hpp"
#include "readers/clock.hpp"
#include "readers/machine.hpp"

namespace readers {
namespace {

// Whole numbers below are exact in a double.
constexpr double kLargestExact = 9'007'199'254'740'992.0;

std::atomic_ref<int32_t> shared(std::span<int32_t> words, int32_t at) noexcept {
  return std::atomic_ref<int32_t>(words[static_cast<size_t>(at)]);
}

bool holds(std::span<const int32_t> words, int32_t at, size_t count = 1) noexcept {
  return at >= 0 && static_cast<size_t>(at) + count <= words.size();
}

// `device:inode:nanoseconds` of the last change, as src/collectors/node/udev.ts writes it; empty when it is not there.
std::string stamp_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  const auto nanoseconds = static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
  return std::to_string(info.st_dev) + ':' + std::to_string(info.st_ino) + ':' + std::to_string(nanoseconds);
}

bool is_missing(const std::string& path) noexcept { return access(path.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR); }

bool is_named(const std::vector<std::string>& expected) {
  MachineNames names;
  if (read_machine_names(names) != 0 || expected.size() != 6) return false;
  return names.sysname == expected[0] && names.nodename == expected[1] && names.release == expected[2] &&
         names.version == expected[3] && names.machine == expected[4] && names.domainname == expected[5];
}

// The sum of the numbers of a column; `numbers` are whole rows.
double sum_of(const Bound& bound, std::span<const double> numbers) noexcept {
  double sum = 0;
  for (size_t at = bound.at; at < numbers.size(); at += bound.with) sum += numbers[at];
  return sum;
}

// Whether the bound may be applied to these numbers, on which JavaScript need not look.
bool is_fit(const Bound& bound, std::span<const double> numbers, double shown) noexcept {
  if (bound.mode == BoundMode::sum) return bound.with > 0 && numbers.size() % bound.with == 0;
  if (bound.at >= numbers.size()) return false;
  const double number = numbers[bound.at];
  switch (bound.mode) {
    case BoundMode::restarting:
      return shown - number / bound.over < bound.times;
    case BoundMode::product:
      return bound.with < numbers.size();
    case BoundMode::difference:
      return bound.with < numbers.size() && bound.times >= 0 && bound.times < static_cast<double>(numbers.size());
    case BoundMode::still:
      return number == bound.times;
    case BoundMode::exact:
      return number < kLargestExact;
    default:
      return true;
  }
}

// Scans with as much room as it takes.
ScanResult scan_roomy(Source& source, const Format& format, ScanTools& tools) noexcept {
  ScanResult result = source.scan(format, *tools.keep, *tools.buffer, tools.numbers);
  if (result.state != ScanState::need_more) return result;
  tools.numbers.resize(result.count * 2);
  return source.rescan(format, tools.buffer->view(), tools.numbers);
}

// Parts of one cycle run within this time, milliseconds.
constexpr double kSameCycleMs = 500;

bool fill_rows(Step& step, ScanTools& tools) noexcept {
  const double now = monotonic_ms();
  if (step.watched_use == WatchedUse::needs && !(now - step.watched_ms[0] < kSameCycleMs)) return false;
  step.row_memory.rest.now = now;
  // As Math.floor(Date.now() / 1000).
  if (step.brings_wall) step.row_memory.brought = std::floor(wall_ms() / 1000);
  if (step.table->fill(step.row_files, step.row_memory, *tools.keep, *tools.buffer) != 0) return false;
  if (step.watched_use == WatchedUse::notes) step.watched_ms[0] = now;
  return true;
}

}  // namespace

void Replay::leave_unset() noexcept {
  for (Bound& bound : bounds) {
    if (bound.mode == BoundMode::present) continue;
    if (bound.mode == BoundMode::still || bound.slot >= stamps.size() || stamps[bound.slot] != run) bound.slot = kNoBound;
  }
}

bool Replay::is_sound(const ReplayLayout& layout) const noexcept {
  const size_t slots = std::min(values.size(), stamps.size());
  for (const Bound& bound : bounds) {
    if (bound.slot != kNoBound && bound.slot >= slots) return false;
  }
  for (const Step& step : steps) {
    if (step.first_bound + uint64_t{step.bounds} > bounds.size() || step.slot >= slots) return false;
    const bool is_scan = step.kind == StepKind::scan || step.kind == StepKind::table || step.kind == StepKind::mount_table;
    if (is_scan && (step.source == nullptr || step.format == nullptr)) return false;
    if (!step.known.is_sound()) return false;
    if (step.kind == StepKind::tasks && step.tasks == nullptr) return false;
    if (step.kind == StepKind::counters && step.counters == nullptr) return false;
    if (step.kind == StepKind::statistics && step.ethtool == nullptr) return false;
    if (step.kind == StepKind::rows && (step.table == nullptr || step.watched_ms.empty())) return false;
    if (step.kind == StepKind::quiet && step.watch == nullptr) return false;
    if (step.kind == StepKind::word && step.word >= step.words.size()) return false;
    if (step.kind == StepKind::set && (step.set == nullptr || step.format == nullptr)) return false;
    if (step.kind == StepKind::mounts && (step.calls == nullptr || step.mount_status.size() != step.calls->size())) return false;
    if (step.mount_flags.size() != step.mount_status.size()) return false;
    for (const ExpectedMember& member : step.members) {
      if (member.bound != kNoBound && member.bound >= bounds.size()) return false;
    }
  }
  size_t page_words = 0;
  for (const ReplayPage& page : pages) page_words = std::max(page_words, (size_t{page.variant} + 1) * 2);
  if (duration_slot != kNoBound && duration_slot >= slots) return false;
  for (const int32_t at : {layout.state, layout.active, layout.sequence, layout.ending, counted, layout.fallback,
                           layout.printed + 1, layout.wanted}) {
    if (!holds(words, at)) return false;
  }
  if (!holds(words, layout.shapes, 2) || !holds(words, layout.families, page_words) || !holds(words, layout.bytes, page_words)) return false;
  for (const int32_t at : {layout.page_started + 1, layout.run_started, layout.run_ended, layout.run_seconds, layout.run_cpu_seconds}) {
    if (at < 0 || static_cast<size_t>(at) >= floats.size()) return false;
  }
  return true;
}

bool Replay::perform(const ReplayLayout& layout, ScanTools& tools, double started_ms, double& cpu_seconds) noexcept {
  const int32_t number = ((shared(words, layout.state).load() >> 2) + 1) % layout.run_modulus;
  const int32_t running = number * 4 + layout.running;
  floats[static_cast<size_t>(layout.run_started)] = started_ms;
  shared(words, layout.state).store(running);
  for (Step& step : steps) {
    if (!read_step(step, tools)) return false;
  }
  const double ended_ms = monotonic_ms();
  const double seconds = (ended_ms - started_ms) / 1000;
  if (duration_slot != kNoBound) values[duration_slot] = seconds;
  const int32_t buffer = shared(words, layout.active).load() == 0 ? 1 : 0;
  if (!print(layout, running, buffer, started_ms)) return false;
  floats[static_cast<size_t>(layout.run_ended)] = ended_ms;
  floats[static_cast<size_t>(layout.run_seconds)] = seconds;
  const double cpu_before = std::exchange(cpu_seconds, thread_cpu_seconds());
  floats[static_cast<size_t>(layout.run_cpu_seconds)] = cpu_seconds - cpu_before;
  int32_t expected = running;
  // The main thread may have given the run up meanwhile; JavaScript then counts it as late.
  if (!shared(words, layout.state).compare_exchange_strong(expected, running - layout.running + layout.idle)) return false;
  shared(words, layout.ending).store(ending);
  shared(words, counted).fetch_add(1);
  shared(words, layout.active).store(buffer);
  shared(words, layout.fallback).store(0);
  shared(words, layout.sequence).fetch_add(1);
  return true;
}

bool Replay::read_step(Step& step, ScanTools& tools) noexcept {
  const auto own = std::span<const Bound>(bounds).subspan(step.first_bound, step.bounds);
  switch (step.kind) {
    case StepKind::scan: {
      const ScanResult result = scan_roomy(*step.source, *step.format, tools);
      if (result.state != ScanState::same) {
        step.source->forget();
        return false;
      }
      return apply(own, std::span<const double>(tools.numbers).first(result.count));
    }
    case StepKind::table: {
      const ScanResult result = scan_roomy(*step.source, *step.format, tools);
      return result.state != ScanState::failed && apply(own, std::span<const double>(tools.numbers).first(result.count));
    }
    case StepKind::clock: {
      std::array<double, kClockNumbers> numbers{};
      return read_clock(numbers) == step.state && apply(own, numbers);
    }
    case StepKind::answer: {
      if (tools.netlink->ask(step.question.protocol, step.question.is_strict, step.question.request) != 0) return false;
      const std::span<const uint8_t> answer = tools.netlink->answer();
      if (!step.known.is_like(answer)) return false;
      const size_t count = step.known.fields.size();
      tools.numbers.resize(std::max(tools.numbers.size(), count));
      step.known.read(answer, tools.numbers);
      return apply(own, std::span<const double>(tools.numbers).first(count));
    }
    case StepKind::sockets: {
      if (tools.netlink->ask(step.question.protocol, step.question.is_strict, step.question.request) != 0) return false;
      std::array<double, kSocketNumbers> numbers{};
      return count_sockets(tools.netlink->answer(), step.type, numbers) && apply(own, numbers);
    }
    case StepKind::mount_table: {
      if (step.source->is_still()) return true;
      const ScanResult result = scan_roomy(*step.source, *step.format, tools);
      if (result.state == ScanState::same) return true;
      step.source->forget();
      return false;
    }
    case StepKind::set:
      for (const ExpectedMember& expected : step.members) {
        Source* member = step.set->member(expected.member);
        if (member == nullptr) return false;
        const ScanResult result = scan_roomy(*member, *step.format, tools);
        const bool is_same = result.state == ScanState::same && expected.status == 0 && result.count == expected.count;
        const bool is_same_failure = result.state == ScanState::failed && expected.status == -result.error;
        if (!is_same && !is_same_failure) {
          member->forget();
          return false;
        }
        if (expected.bound == kNoBound || !is_same) continue;
        if (!apply(std::span<const Bound>(bounds).subspan(expected.bound, 1), std::span<const double>(tools.numbers).first(result.count))) {
          return false;
        }
      }
      return true;
    case StepKind::mounts: {
      const size_t count = step.calls->size();
      tools.status.resize(std::max(tools.status.size(), count));
      tools.numbers.resize(std::max(tools.numbers.size(), count * kMountNumbers));
      const auto status = std::span(tools.status).first(count);
      const auto numbers = std::span(tools.numbers).first(count * kMountNumbers);
      MountCalls::process().run(*step.calls, std::chrono::milliseconds(step.wait_ms), status, numbers);
      for (size_t i = 0; i < count; ++i) {
        if (status[i] != step.mount_status[i]) return false;
        if (status[i] == 0 && numbers[i * kMountNumbers + kMountNumbers - 1] != step.mount_flags[i]) return false;
      }
      return apply(own, numbers);
    }
    case StepKind::wall:
      // Whole milliseconds, as JavaScript's clock gives them.
      values[step.slot] = std::floor(wall_ms()) / 1000;
      return true;
    case StepKind::until_monotonic:
      return monotonic_ms() < step.to_ms;
    case StepKind::within_wall: {
      const double now = wall_ms();
      return now >= step.from_ms && now < step.to_ms;
    }
    case StepKind::uname:
      return is_named(step.texts);
    case StepKind::stamp:
      return step.texts.size() == 2 && stamp_of(step.texts[0]) == step.texts[1];
    case StepKind::missing: {
      const double now_ms = monotonic_ms();
      if (now_ms < step.to_ms) return true;
      step.to_ms = now_ms + step.from_ms;
      return step.texts.size() == 1 && is_missing(step.texts[0]);
    }
    case StepKind::tasks:
      return read_tasks(step, *tools.keep);
    case StepKind::counters:
      return read_counters(step, tools);
    case StepKind::statistics:
      return read_statistics(step, tools);
    case StepKind::rows:
      return fill_rows(step, tools);
    case StepKind::quiet:
      return step.watch->is_quiet();
    case StepKind::word:
      return shared(step.words, static_cast<int32_t>(step.word)).load() == step.expected;
  }
  return false;
}

bool Replay::read_tasks(const Step& step, const KeepRule& keep) noexcept {
  std::array<uint32_t, kTaskStates * 2> states{};
  TaskCounts counts{std::span(states).first<kTaskStates>(), std::span(states).last<kTaskStates>()};
  std::string place;
  if (step.tasks->look(keep, counts, place) != 0) return false;
  std::array<double, kTaskNumbers> numbers{};
  std::copy(states.begin(), states.end(), numbers.begin());
  numbers[kTaskStates * 2] = counts.pids;
  numbers[kTaskStates * 2 + 1] = static_cast<double>(counts.thread_total);
  return apply(std::span<const Bound>(bounds).subspan(step.first_bound, step.bounds), numbers);
}

bool Replay::read_counters(const Step& step, ScanTools& tools) noexcept {
  const size_t count = step.counters->size();
  tools.numbers.resize(std::max(tools.numbers.size(), count));
  const auto numbers = std::span(tools.numbers).first(count);
  step.counters->read(numbers, {});
  // Which series that leaves is JavaScript's to say.
  if (std::ranges::any_of(numbers, [](double number) { return std::isnan(number); })) return false;
  return apply(std::span<const Bound>(bounds).subspan(step.first_bound, step.bounds), numbers);
}

bool Replay::read_statistics(const Step& step, ScanTools& tools) noexcept {
  tools.numbers.resize(std::max<size_t>(tools.numbers.size(), step.statistics));
  const auto numbers = std::span(tools.numbers).first(step.statistics);
  if (step.ethtool->read_statistics(step.device, numbers) != step.state) return false;
  // A driver that has none to tell leaves its series out, as it did when the steps were written.
  return step.state != 0 || apply(std::span<const Bound>(bounds).subspan(step.first_bound, step.bounds), numbers);
}

bool Replay::apply(std::span<const Bound> some, std::span<const double> numbers) noexcept {
  // Before anything of it is stored: JavaScript compares with what was shown last.
  for (const Bound& bound : some) {
    if (!is_fit(bound, numbers, bound.slot == kNoBound ? 0 : values[bound.slot])) return false;
  }
  for (const Bound& bound : some) {
    if (bound.slot == kNoBound) continue;
    double& value = values[bound.slot];
    switch (bound.mode) {
      case BoundMode::scaled:
      case BoundMode::exact:
        value = numbers[bound.at] * bound.times / bound.over / bound.again;
        break;
      case BoundMode::rising:
      case BoundMode::restarting:
        value = std::max(value, numbers[bound.at] / bound.over);
        break;
      case BoundMode::present:
        value = numbers[bound.at] * bound.times / bound.over;
        // Any other run's number leaves it out.
        stamps[bound.slot] = numbers[bound.at] > 0 ? run : run - 1;
        break;
      case BoundMode::product:
        value = numbers[bound.at] * numbers[bound.with];
        break;
      case BoundMode::difference:
        value = (numbers[bound.at] - numbers[static_cast<size_t>(bound.times)]) * numbers[bound.with];
        break;
      case BoundMode::sum:
        value = sum_of(bound, numbers) * bound.times / bound.over;
        break;
      case BoundMode::still:
        break;
    }
  }
  return true;
}

bool Replay::print(const ReplayLayout& layout, int32_t running, int32_t buffer, double started_ms) noexcept {
  // The main thread has given the run up: the buffers may be shown again by now.
  if (shared(words, layout.state).load() != running) return false;
  if (shared(words, layout.wanted).load() != wanted) return false;
  const auto side = static_cast<size_t>(buffer);
  for (const ReplayPage& page : pages) {
    const size_t i = page.variant;
    const PageInput input{page.blob, page.ops, page.families, values, stamps, run};
    const PageResult result = encode_page(input, page.pages[side], page.indexes[side]);
    if (result.state != PageState::ok) return false;
    words[static_cast<size_t>(layout.bytes) + i * 2 + side] = static_cast<int32_t>(result.bytes);
    words[static_cast<size_t>(layout.families) + i * 2 + side] = static_cast<int32_t>(page.families);
  }
  words[static_cast<size_t>(layout.printed) + side] = wanted;
  words[static_cast<size_t>(layout.shapes) + side] = shape;
  floats[static_cast<size_t>(layout.page_started) + side] = started_ms;
  return true;
}

}  // namespace readers
