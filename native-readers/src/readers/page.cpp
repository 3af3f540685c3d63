#include "readers/page.hpp"

#include <algorithm>
#include <cstring>

#include "core/go_number.hpp"

namespace readers {
namespace {

// Appends to a page and goes on counting where the room ends.
class PageWriter {
 public:
  explicit PageWriter(std::span<uint8_t> page) noexcept : page_(page) {}

  void append(std::span<const uint8_t> bytes) noexcept {
    if (fits(bytes.size()) && !bytes.empty()) std::memcpy(page_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  // A sample line: prefix, number, line feed.
  void append_sample(std::span<const uint8_t> prefix, double value) noexcept {
    if (fits(prefix.size() + kNumberRoom + 1)) {
      uint8_t* out = page_.data() + at_;
      std::memcpy(out, prefix.data(), prefix.size());
      out += prefix.size();
      out += format_go_number(value, reinterpret_cast<char*>(out));
      *out++ = '\n';
      at_ = static_cast<uint64_t>(out - page_.data());
      return;
    }
    uint8_t line_end[kNumberRoom + 1];
    const size_t length = format_go_number(value, reinterpret_cast<char*>(line_end));
    line_end[length] = '\n';
    append(prefix);
    append({line_end, length + 1});
  }

  [[nodiscard]] bool fits(uint64_t bytes) const noexcept { return at_ <= page_.size() && bytes <= page_.size() - at_; }
  [[nodiscard]] bool is_past_end() const noexcept { return at_ > page_.size(); }
  [[nodiscard]] uint64_t at() const noexcept { return at_; }

 private:
  std::span<uint8_t> page_;
  uint64_t at_ = 0;
};

}  // namespace

PageResult encode_page(const PageInput& input, std::span<uint8_t> page, std::span<uint32_t> index) noexcept {
  const size_t slots = std::min(input.values.size(), input.stamps.size());
  if (index.size() / kIndexWords < input.families) return {PageState::malformed, 0};
  PageWriter writer(page);
  uint64_t written = 0;
  size_t op = 0;
  size_t blob_at = 0;
  for (uint32_t family = 0; family < input.families; ++family) {
    const auto words = index.subspan(family * kIndexWords, kIndexWords);
    std::fill(words.begin(), words.end(), 0U);
    if (input.ops.size() - op < 2) return {PageState::malformed, 0};
    const size_t header_length = input.ops[op];
    const size_t series = input.ops[op + 1];
    op += 2;
    if (input.blob.size() - blob_at < header_length) return {PageState::malformed, 0};
    if ((input.ops.size() - op) / 2 < series) return {PageState::malformed, 0};
    const auto header = input.blob.subspan(blob_at, header_length);
    blob_at += header_length;

    const uint64_t family_at = writer.at();
    uint32_t samples = 0;
    for (const size_t end = op + series * 2; op < end; op += 2) {
      const size_t prefix_length = input.ops[op];
      const size_t slot = input.ops[op + 1];
      if (input.blob.size() - blob_at < prefix_length || slot >= slots) return {PageState::malformed, 0};
      const auto prefix = input.blob.subspan(blob_at, prefix_length);
      blob_at += prefix_length;
      if (input.stamps[slot] != input.run) continue;
      if (samples++ == 0) writer.append(header);
      writer.append_sample(prefix, input.values[slot]);
    }
    if (samples == 0 || writer.is_past_end()) continue;
    written = writer.at();
    words[0] = static_cast<uint32_t>(family_at);
    words[1] = static_cast<uint32_t>(header_length);
    words[2] = static_cast<uint32_t>(written - family_at - header_length);
    words[3] = samples;
  }
  if (writer.is_past_end()) return {PageState::need_more, writer.at()};
  return {PageState::ok, written};
}

}  // namespace readers
