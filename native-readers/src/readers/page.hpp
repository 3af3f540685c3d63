// Renders a page of text format 0.0.4 from a plan: PagePlan and Readers.encode of src/readers/readers.ts.
#pragma once

#include <cstdint>
#include <span>

namespace readers {

// Words per family in the index: page offset of the header, header length, bytes of samples, number of samples.
inline constexpr size_t kIndexWords = 4;

struct PageInput {
  // Headers and series prefixes, back to back.
  std::span<const uint8_t> blob;
  // Per family: header length, number of series; then per series: prefix length, slot.
  std::span<const uint32_t> ops;
  uint32_t families;
  std::span<const double> values;
  std::span<const uint32_t> stamps;
  // A slot takes part when its stamp equals this.
  uint32_t run;
};

enum class PageState : uint8_t {
  ok,
  // Some family did not fit; it and those after it are left out.
  need_more,
  // The plan points outside its blob, slots or index.
  malformed,
};

struct [[nodiscard]] PageResult {
  PageState state;
  // Bytes written; bytes the whole page wants when need_more.
  uint64_t bytes;
};

PageResult encode_page(const PageInput& input, std::span<uint8_t> page, std::span<uint32_t> index) noexcept;

}  // namespace readers
