// Puts the pages of several channels together: Merger of src/views/merge.ts, which works out the order and is the oracle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "readers/page.hpp"

namespace readers {

struct MergePage {
  std::span<uint8_t> page;
  // As page.hpp's.
  std::span<uint32_t> index;
};

// Bytes of the number of the time family, which is as long as every time is: it is written anew into each response.
inline constexpr size_t kTimeBytes = 18;

// What is to be done about the header of a stretch; the numbers of Merger's.
enum class StretchKind : uint8_t { whole, first, next, time };

struct [[nodiscard]] MergeResult {
  // malformed: an index points outside its page, as it may while its lane writes both.
  PageState state;
  size_t bytes = 0;
  uint64_t samples = 0;
  // Where the number of the time family stands; SIZE_MAX without one.
  size_t time_at = SIZE_MAX;
};

// `order`: per stretch page, first and last family.
MergeResult merge_pages(std::span<const int32_t> order, std::span<const uint8_t> kinds, std::span<const MergePage> pages,
                        std::span<uint8_t> target) noexcept;

}  // namespace readers
