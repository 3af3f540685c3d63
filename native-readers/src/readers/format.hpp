// How the bytes of a source are cut into tokens: SourceFormat of src/readers/readers.ts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/word.hpp"

namespace readers {

// What a byte is to the scanner: 0 to 9 is the digit of that value; the rest is below. The order matters: digits, other
// bytes of tokens, bytes that end a token.
enum ByteClass : uint8_t { kLastDigit = 9, kTokenByte, kBlank, kDelimiterByte, kLineFeed };

// More delimiters than this are looked for byte by byte.
inline constexpr size_t kFastDelimiters = 4;

struct Format {
  std::array<uint8_t, 256> classes{};
  // The delimiters, each eight times.
  std::array<uint64_t, kFastDelimiters> delimiter_words{};
  size_t delimiter_count = 0;
  uint32_t keys = 0;
  bool hex = false;
  bool text = false;
  bool reopen = false;
  bool attribute = false;
  bool record = false;
  bool names = false;
  bool lingers = false;
  // Largest text in bytes.
  size_t cap = 0;

  // Space, tab and line feed keep their own meaning even when listed.
  void set_delimiters(std::string_view delimiters) noexcept {
    classes.fill(kTokenByte);
    for (uint8_t digit = 0; digit <= kLastDigit; ++digit) classes[static_cast<size_t>('0' + digit)] = digit;
    for (const char byte : delimiters) classes[static_cast<uint8_t>(byte)] = kDelimiterByte;
    delimiter_count = 0;
    for (const char byte : delimiters) {
      if (delimiter_count < kFastDelimiters) delimiter_words[delimiter_count] = word::repeat(static_cast<uint8_t>(byte));
      ++delimiter_count;
    }
    classes[' '] = kBlank;
    classes['\t'] = kBlank;
    classes['\n'] = kLineFeed;
  }

  [[nodiscard]] bool ends_token(char byte) const noexcept { return class_of(byte) > kTokenByte; }
  [[nodiscard]] uint8_t class_of(char byte) const noexcept { return classes[static_cast<uint8_t>(byte)]; }
};

}  // namespace readers
