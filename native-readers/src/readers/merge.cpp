#include "readers/merge.hpp"

#include <cstring>
#include <string_view>

namespace readers {
namespace {

constexpr std::string_view kTimeText = "0.000000000000e+09\n";
static_assert(kTimeText.size() == kTimeBytes + 1);

}  // namespace

MergeResult merge_pages(std::span<const int32_t> order, std::span<const uint8_t> kinds, std::span<const MergePage> pages,
                        std::span<uint8_t> target) noexcept {
  MergeResult merged{PageState::ok};
  const auto append = [&](const void* bytes, size_t size) {
    if (size > target.size() - merged.bytes) return false;
    if (size != 0) std::memcpy(target.data() + merged.bytes, bytes, size);
    merged.bytes += size;
    return true;
  };
  // A shared family's header was copied already.
  bool is_begun = false;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const auto kind = static_cast<StretchKind>(kinds[i]);
    const auto entry = static_cast<size_t>(order[i * 3]);
    const auto first = static_cast<size_t>(order[i * 3 + 1]);
    const auto last = static_cast<size_t>(order[i * 3 + 2]);
    if (entry >= pages.size() || last >= pages[entry].index.size() / kIndexWords) return {PageState::malformed};
    const MergePage& from = pages[entry];
    if (kind != StretchKind::next) is_begun = false;
    // Families without samples take no room in their page, so a stretch ends where the last one with samples ends.
    size_t begin = SIZE_MAX;
    size_t end = 0;
    for (size_t family = first; family <= last; ++family) {
      const auto words = from.index.subspan(family * kIndexWords, kIndexWords);
      // Read once: another thread may be writing.
      const uint32_t header = words[0];
      const uint32_t header_length = words[1];
      const uint32_t length = words[2];
      const uint32_t samples = words[3];
      if (samples == 0) continue;
      if (begin == SIZE_MAX) begin = is_begun ? size_t{header} + header_length : header;
      end = size_t{header} + header_length + length;
      merged.samples += samples;
    }
    if (begin == SIZE_MAX) continue;
    is_begun = true;
    if (begin > end || end > from.page.size()) return {PageState::malformed};
    if (kind != StretchKind::time) {
      if (!append(from.page.data() + begin, end - begin)) return {PageState::need_more};
      continue;
    }
    size_t number = end;
    while (number > begin && from.page[number - 1] != ' ') --number;
    if (!append(from.page.data() + begin, number - begin)) return {PageState::need_more};
    merged.time_at = merged.bytes;
    if (!append(kTimeText.data(), kTimeText.size())) return {PageState::need_more};
  }
  return merged;
}

}  // namespace readers
