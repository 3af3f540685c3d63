#include "readers/source_set.hpp"

namespace readers {

uint32_t SourceSet::add(std::string path) {
  if (unused_.empty()) {
    members_.emplace_back(Source(std::move(path), base_.get()));
    return static_cast<uint32_t>(members_.size() - 1);
  }
  const uint32_t number = unused_.back();
  unused_.pop_back();
  members_[number].emplace(std::move(path), base_.get());
  return number;
}

void SourceSet::remove(uint32_t member) noexcept {
  if (this->member(member) == nullptr) return;
  members_[member].reset();
  unused_.push_back(member);
}

Source* SourceSet::member(uint32_t number) noexcept {
  if (number >= members_.size() || !members_[number]) return nullptr;
  return &*members_[number];
}

bool SourceSet::scan(const Format& format, const KeepRule& keep, TextBuffer& buffer, const SetResults& results,
                     SetProgress& progress) noexcept {
  for (; progress.next_member < members_.size(); ++progress.next_member) {
    const uint32_t member = progress.next_member;
    results.start[member] = progress.used;
    results.counts[member] = 0;
    results.status[member] = kUnusedMember;
    if (!members_[member]) continue;
    const ScanResult result =
        members_[member]->scan(format, keep, buffer, results.numbers.subspan(progress.used));
    if (result.state == ScanState::failed) {
      results.status[member] = -result.error;
      continue;
    }
    if (result.state == ScanState::need_more) {
      progress.used += static_cast<uint32_t>(result.count);
      return false;
    }
    results.status[member] = result.state == ScanState::changed ? 1 : 0;
    results.counts[member] = static_cast<uint32_t>(result.count);
    progress.used += static_cast<uint32_t>(result.count);
  }
  return true;
}

void SourceSet::close() noexcept {
  for (auto& member : members_) {
    if (member) member->close();
  }
  if (base_) base_->close();
}

}  // namespace readers
