// Many sources of one format, scanned in one go.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "readers/source.hpp"

namespace readers {

// Status of a member number that is not in use.
inline constexpr int32_t kUnusedMember = -1000;

// Where a scan of a set stands. A scan that runs out of room returns and is continued with more.
struct SetProgress {
  uint32_t next_member = 0;
  // Numbers written so far; numbers wanted in all (at least) after need_more.
  uint32_t used = 0;
};

// Caller-owned results, one element per member number.
struct SetResults {
  std::span<double> numbers;
  std::span<int32_t> status;
  std::span<uint32_t> start;
  std::span<uint32_t> counts;
};

class SourceSet {
 public:
  // `folder`: what paths that are not absolute are relative to; empty for the working directory.
  explicit SourceSet(std::string folder = {}) : base_(folder.empty() ? nullptr : std::make_unique<BaseFolder>(std::move(folder))) {}

  // Returns the member's number. Numbers of removed members are used again, the latest removed first.
  uint32_t add(std::string path);
  void remove(uint32_t member) noexcept;
  [[nodiscard]] size_t size() const noexcept { return members_.size(); }
  [[nodiscard]] Source* member(uint32_t number) noexcept;

  // Scans from `progress.next_member` on. Returns false when `results.numbers` is too small; `progress.used` then says how
  // many it should hold, and the same call with more room goes on. Results must have size() elements at least.
  [[nodiscard]] bool scan(const Format& format, const KeepRule& keep, TextBuffer& buffer, const SetResults& results,
                          SetProgress& progress) noexcept;
  void close() noexcept;

 private:
  // Members point to it.
  std::unique_ptr<BaseFolder> base_;
  std::vector<std::optional<Source>> members_;
  std::vector<uint32_t> unused_;
};

}  // namespace readers
