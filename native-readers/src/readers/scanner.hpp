// The one scanner: cuts a text into tokens and tells numbers from text.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/hash.hpp"
#include "core/number.hpp"
#include "readers/format.hpp"

namespace readers {

// Nineteen digits always fit 64 bits.
inline constexpr size_t kSafeDigits = 19;

// Calls, in reading order:
//   sink.number(at, length, value, gap)   sink.word(at, length, gap)   sink.delimiter(byte, gap)   sink.line_end()
// `gap` says that blanks stood before it, not counting those at the start of a line. Blanks before a line end are not told.
template <typename Sink>
void cut(std::string_view text, const Format& format, Sink& sink) noexcept {
  const size_t size = text.size();
  size_t at = 0;
  uint32_t column = 0;
  bool at_line_start = true;
  bool gap = false;
  while (at < size) {
    const char byte = text[at];
    const ByteClass kind = format.class_of(byte);
    if (kind == ByteClass::blank) {
      gap = !at_line_start;
      ++at;
      continue;
    }
    if (kind == ByteClass::line_feed) {
      sink.line_end();
      column = 0;
      at_line_start = true;
      gap = false;
      ++at;
      continue;
    }
    at_line_start = false;
    if (kind == ByteClass::delimiter) {
      sink.delimiter(byte, gap);
      gap = false;
      ++at;
      continue;
    }

    const size_t start = at;
    const bool may_be_number = column >= format.keys && !format.text;
    ++column;
    // Nearly every number of a kernel file is a short unsigned integer: read while looking for the token's end.
    if (may_be_number && !format.hex) {
      uint64_t value = 0;
      while (at < size && at - start < kSafeDigits) {
        const auto digit = static_cast<uint64_t>(static_cast<uint8_t>(text[at])) - '0';
        if (digit > 9 || format.class_of(text[at]) != ByteClass::token) break;
        value = value * 10 + digit;
        ++at;
      }
      if (at > start && (at == size || format.class_of(text[at]) != ByteClass::token)) {
        sink.number(start, at - start, static_cast<double>(value), gap);
        gap = false;
        continue;
      }
    }
    while (at < size && format.class_of(text[at]) == ByteClass::token) ++at;
    const std::string_view token = text.substr(start, at - start);
    std::optional<double> value;
    if (may_be_number) value = format.hex ? parse_hex(token) : parse_decimal(token);
    if (value) {
      sink.number(start, token.size(), *value, gap);
    } else {
      sink.word(start, token.size(), gap);
    }
    gap = false;
  }
}

struct Scan {
  uint64_t shape = 0;
  // Numbers found, also those that found no room.
  size_t count = 0;
};

// Extracts the numbers into `room` (as many as fit) and hashes what stands around them.
[[nodiscard]] Scan scan_text(std::string_view text, const Format& format, std::span<double> room) noexcept;

// One token for TypeScript, four words: offset, length, ordinal among the numbers or kTextToken, line.
struct TokenWords {
  uint32_t at;
  uint32_t length;
  uint32_t number;
  uint32_t line;
};
inline constexpr uint32_t kTextToken = 0xffffffffU;

// The tokens exactly as scan_text cuts them. For the rare changed text, so it may allocate.
[[nodiscard]] std::vector<TokenWords> list_tokens(std::string_view text, const Format& format);

}  // namespace readers
