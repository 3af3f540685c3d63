#include "readers/rows.hpp"

#include <algorithm>
#include <cmath>

namespace readers {
namespace {

constexpr double kNanoseconds = 1e9;
constexpr size_t kTurns = 16;

// As Math.round of JavaScript.
double round_half_up(double value) noexcept {
  const double whole = std::floor(value);
  return value - whole >= 0.5 ? whole + 1 : whole;
}

bool is_resting(const RowFile& file, size_t cgroup, const RowMemory& memory) noexcept {
  if (file.read_ms.empty()) return false;
  const auto& [now, after, trust] = memory.rest;
  const double share = 1 - static_cast<double>(cgroup % kTurns) / (2 * kTurns);
  return file.read_ms[cgroup] - memory.moved_ms[cgroup] > after && now - file.read_ms[cgroup] < trust * share;
}

// Puts the values of a row in their slots. False when a series has to be asked for.
bool place(std::span<const double> row, std::span<int32_t> slots, const RowMemory& memory) noexcept {
  bool is_complete = true;
  for (size_t column = 0; column < slots.size(); ++column) {
    const double value = row[column];
    if (value == kAbsent) {
      if (slots[column] >= 0 && memory.is_replay) is_complete = false;
      // A sheet forgets series that stay away: this slot may belong to another when the value comes back.
      slots[column] = kUnknownSlot;
      continue;
    }
    const int32_t slot = slots[column];
    if (slot < 0) {
      is_complete = is_complete && slot != kUnknownSlot;
      continue;
    }
    const auto at = static_cast<size_t>(slot);
    if (at >= memory.values.size()) return false;
    memory.values[at] = value;
    memory.stamps[at] = memory.run;
  }
  return is_complete;
}

}  // namespace

void RowTable::learn(size_t file, RowPattern pattern) {
  if (file >= patterns_.size()) patterns_.resize(file + 1);
  auto& known = patterns_[file];
  const auto same = [&](const RowPattern& other) { return other.shape == pattern.shape; };
  std::erase_if(known, same);
  known.push_back(std::move(pattern));
}

const RowPattern* RowTable::pattern(size_t file, uint64_t shape) const noexcept {
  if (file >= patterns_.size()) return nullptr;
  const auto& known = patterns_[file];
  const auto found = std::find_if(known.begin(), known.end(), [&](const RowPattern& one) { return one.shape == shape; });
  return found == known.end() ? nullptr : &*found;
}

bool RowTable::is_sound(std::span<const RowFile> files, const RowMemory& memory) const noexcept {
  const size_t cgroups = memory.states.size();
  const auto holds = [&](size_t size, size_t each) { return each == 0 || size / each >= cgroups; };
  if (memory.stride == 0 || memory.columns > std::min(memory.stride, memory.slot_stride) || !holds(memory.rows.size(), memory.stride) ||
      !holds(memory.slots.size(), memory.slot_stride) || memory.left.size() < cgroups || memory.moved_ms.size() < cgroups ||
      memory.stamps.size() < memory.values.size() || rules_.size() % kRuleWords != 0) {
    return false;
  }
  const auto is_column = [&](int64_t column) { return column >= 0 && static_cast<uint64_t>(column) < memory.stride; };
  for (size_t i = 0; i < rules_.size(); i += kRuleWords) {
    const int64_t a = rules_[i + 2];
    const int64_t b = rules_[i + 3];
    if (!is_column(rules_[i + 1]) || !is_column(a) || b < 0) return false;
    if (static_cast<RowRule>(rules_[i]) == RowRule::sum ? !is_column(a + std::max<int64_t>(b, 1) - 1) : !is_column(b)) return false;
  }
  for (const RowFile& file : files) {
    if (file.members.size() < cgroups || file.missing.size() < cgroups || (file.counts >= 0 && !is_column(file.counts)) ||
        (!file.read_ms.empty() && file.read_ms.size() < cgroups)) {
      return false;
    }
  }
  for (const auto& known : patterns_) {
    for (const RowPattern& one : known) {
      for (const auto& target : one.targets) {
        if (target.column >= memory.stride || target.at >= one.needs) return false;
      }
      for (const auto& word : one.words) {
        if (word.column >= memory.stride) return false;
      }
    }
  }
  return true;
}

bool RowTable::read(size_t file_number, const RowFile& file, size_t cgroup, std::span<double> row, const RowMemory& memory,
                    const KeepRule& keep, TextBuffer& buffer) {
  const int32_t member = file.members[cgroup];
  if (member < 0 || is_resting(file, cgroup, memory)) return true;
  const auto& [set, format] = file.places[static_cast<size_t>(member & 1)];
  Source* source = set == nullptr ? nullptr : set->member(static_cast<uint32_t>(member) >> 1U);
  if (source == nullptr) return false;
  ScanResult result = source->scan(*format, keep, buffer, numbers_);
  if (result.state == ScanState::failed) {
    if (file.is_missed) memory.moved_ms[cgroup] = memory.rest.now;
    return -result.error == file.missing[cgroup];
  }
  if (result.state == ScanState::need_more) {
    numbers_.resize(result.count * 2);
    result = source->rescan(*format, buffer.view(), numbers_);
  }
  if (file.missing[cgroup] != 0) return false;
  if (!file.read_ms.empty()) file.read_ms[cgroup] = memory.rest.now;
  if (file.counts >= 0) {
    row[static_cast<size_t>(file.counts)] = static_cast<double>(result.count);
    return true;
  }
  // Another text may lack what this one's row has.
  if (result.state != ScanState::same) return false;
  const RowPattern* known = pattern(file_number, shape_number(source->shape()));
  if (known == nullptr || result.count < known->needs) return false;
  bool has_moved = false;
  for (const auto& [at, column, over] : known->targets) {
    const double value = numbers_[at] / over;
    // What a rule left out was 0.
    has_moved = has_moved || value != (row[column] == kAbsent ? 0 : row[column]);
    row[column] = value;
  }
  for (const auto& [column, value] : known->words) row[column] = value;
  if (file.is_witness && has_moved) memory.moved_ms[cgroup] = memory.rest.now;
  return true;
}

void RowTable::finish(std::span<double> row, double brought) const noexcept {
  for (size_t i = 0; i < rules_.size(); i += kRuleWords) {
    double& to = row[static_cast<size_t>(rules_[i + 1])];
    const auto a = static_cast<size_t>(rules_[i + 2]);
    const auto b = static_cast<size_t>(rules_[i + 3]);
    switch (static_cast<RowRule>(rules_[i])) {
      case RowRule::difference:
        to = row[a] == kAbsent ? kAbsent : std::max(0.0, row[a] - std::max(0.0, row[b]));
        break;
      case RowRule::sum: {
        double nanoseconds = 0;
        for (const double seconds : row.subspan(a, b)) nanoseconds += round_half_up(seconds * kNanoseconds);
        to = nanoseconds == 0 ? kAbsent : nanoseconds / kNanoseconds;
        break;
      }
      case RowRule::absent_at_zero:
        if (to == 0) to = kAbsent;
        break;
      case RowRule::absent_unless:
        if (!(row[a] > 0)) to = kAbsent;
        break;
      case RowRule::brought:
        to = brought;
        break;
    }
  }
}

int32_t RowTable::fill(std::span<const RowFile> files, const RowMemory& memory, const KeepRule& keep, TextBuffer& buffer) {
  if (!is_sound(files, memory)) return -1;
  size_t left = 0;
  for (size_t cgroup = 0; cgroup < memory.states.size(); ++cgroup) {
    const uint8_t state = memory.states[cgroup];
    if (state == kNoRow) continue;
    const auto row = memory.rows.subspan(cgroup * memory.stride, memory.stride);
    bool is_done = state == kRowReady;
    for (size_t i = 0; is_done && i < files.size(); ++i) is_done = read(i, files[i], cgroup, row, memory, keep, buffer);
    if (is_done) {
      finish(row, memory.brought);
      is_done = place(row.first(memory.columns), memory.slots.subspan(cgroup * memory.slot_stride, memory.columns), memory);
    }
    if (is_done) continue;
    memory.left[left++] = static_cast<int32_t>(cgroup);
    if (memory.is_replay) memory.states[cgroup] = kRowLeft;
  }
  return static_cast<int32_t>(left);
}

}  // namespace readers
