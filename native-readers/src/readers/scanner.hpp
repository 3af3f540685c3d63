// The one scanner: cuts a text into tokens and tells numbers from text.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/hash.hpp"
#include "core/number.hpp"
#include "core/word.hpp"
#include "readers/format.hpp"

namespace readers {

// Digits that are read as two words; longer numbers are rare.
inline constexpr size_t kFastDigits = 2 * word::kBytes;

// The high bit of each byte that ends a token or is a control character; only the lowest bit set is sure.
[[nodiscard]] inline uint64_t token_ends(uint64_t bytes, const Format& format) noexcept {
  uint64_t ends = word::below(bytes, ' ' + 1);
  for (size_t i = 0; i < format.delimiter_count; ++i) ends |= word::equal(bytes, format.delimiter_words[i]);
  return ends;
}

// Offset of the first byte at or after `at` that ends a token, or the text's size.
[[nodiscard]] inline size_t token_end(std::string_view text, size_t at, const Format& format) noexcept {
  if (word::kUsable && format.delimiter_count <= kFastDelimiters) {
    // Two words at once: few tokens are longer, so the loop's end is foretold; where in them the token ends needs no branch.
    while (text.size() - at >= 2 * word::kBytes) {
      const uint64_t low = token_ends(word::load(text.data() + at), format);
      const uint64_t high = token_ends(word::load(text.data() + at + word::kBytes), format);
      if ((low | high) == 0) {
        at += 2 * word::kBytes;
        continue;
      }
      at += low != 0 ? word::first(low) : word::kBytes + word::first(high);
      // Control characters look like blanks to token_ends and belong to tokens.
      if (format.ends_token(text[at])) return at;
      ++at;
    }
  }
  while (at < text.size() && !format.ends_token(text[at])) ++at;
  return at;
}

// Offset of the first byte at or after `at` that is no blank, or the text's size.
[[nodiscard]] inline size_t blanks_end(std::string_view text, size_t at, const Format& format) noexcept {
  while (word::kUsable && text.size() - at >= word::kBytes) {
    const size_t spaces = word::leading(word::load(text.data() + at), word::repeat(' '));
    at += spaces;
    if (spaces < word::kBytes) break;
  }
  while (at < text.size() && format.class_of(text[at]) == kBlank) ++at;
  return at;
}

// Whether a digit and a space stand at text[at].
[[nodiscard]] inline bool is_lone_digit(std::string_view text, size_t at, const Format& format) noexcept {
  return text.size() - at >= 2 && text[at + 1] == ' ' && format.class_of(text[at]) <= kLastDigit;
}

// Value of an unsigned integer of at most kFastDigits digits that stands at text[at]; nothing when it is something else or
// too near to the text's end for whole words.
[[nodiscard]] inline std::optional<uint64_t> fast_integer(std::string_view text, size_t at, size_t length) noexcept {
  if (!word::kUsable || length > kFastDigits || text.size() - at < kFastDigits) return std::nullopt;
  const size_t head = length <= word::kBytes ? length : word::kBytes;
  const uint64_t high = word::digits(word::load(text.data() + at), head);
  if (!word::are_digits(high)) return std::nullopt;
  if (length <= word::kBytes) return word::number(high);
  // The last eight digits; those that were in the first word as well are shifted out of it.
  const size_t rest = length - word::kBytes;
  const uint64_t low = word::digits(word::load(text.data() + at + rest), word::kBytes);
  if (!word::are_digits(low)) return std::nullopt;
  return word::number(word::digits(word::load(text.data() + at), rest)) * 100'000'000U + word::number(low);
}

// Calls, in reading order:
//   sink.number(at, length, value, gap)   sink.word(at, length, gap)   sink.delimiter(byte, gap)   sink.line_end()
// `gap` says that blanks stood before it, not counting those at the start of a line. Blanks before a line end are not told.
template <typename Sink>
void cut(std::string_view text, const Format& format, Sink& sink) noexcept {
  const size_t size = text.size();
  size_t at = 0;
  // Tokens of the line that are still text whatever they look like.
  uint32_t keys_left = format.keys;
  bool at_line_start = true;
  bool gap = false;
  while (at < size) {
    const uint8_t kind = format.class_of(text[at]);
    if (kind > kTokenByte) {
      if (kind == kBlank) {
        gap = !at_line_start;
        at = blanks_end(text, at + 1, format);
        continue;
      }
      if (kind == kLineFeed) {
        sink.line_end();
        keys_left = format.keys;
        at_line_start = true;
      } else {
        sink.delimiter(text[at], gap);
        at_line_start = false;
      }
      gap = false;
      ++at;
      continue;
    }

    const size_t start = at;
    at_line_start = false;
    // Half of the numbers in kernel files are a lone digit with a blank behind: a shortcut for runs of these two bytes.
    if (keys_left == 0 && !format.text && is_lone_digit(text, at, format)) {
      do {
        sink.number(at, 1, static_cast<double>(format.class_of(text[at])), gap);
        gap = true;
        at += 2;
      } while (is_lone_digit(text, at, format));
      continue;
    }
    at = token_end(text, at + 1, format);
    const size_t length = at - start;
    std::optional<double> value;
    if (keys_left > 0) {
      --keys_left;
    } else if (format.hex) {
      value = parse_hex(text.substr(start, length));
    } else if (!format.text && (kind <= kLastDigit || text[start] == '-')) {
      // Nearly every number is a short unsigned integer.
      if (const auto integer = fast_integer(text, start, length)) {
        value = static_cast<double>(static_cast<int64_t>(*integer));
      } else {
        value = parse_decimal(text.substr(start, length));
      }
    }
    if (value) {
      sink.number(start, length, *value, gap);
    } else {
      sink.word(start, length, gap);
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
