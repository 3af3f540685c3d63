// What must hold for every text and format. Shared by the replay of fixtures and the fuzz target.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

#include "check.hpp"
#include "readers/scanner.hpp"

namespace tests {

inline readers::Format make_format(std::string_view delimiters, uint32_t keys = 0, bool hex = false, bool text = false) {
  readers::Format format;
  format.set_delimiters(delimiters);
  format.keys = keys;
  format.hex = hex;
  format.text = text;
  return format;
}

// Formats that differ in every choice the scanner makes; five delimiters are more than it looks for at once.
inline const std::vector<readers::Format>& formats() {
  static const std::vector<readers::Format> all = {
      make_format(""),        make_format(":"),          make_format("=:/"),         make_format("=:/,;-."),
      make_format(":=", 1),   make_format("", 2),        make_format("", 0, true),   make_format("=,", 1, true),
      make_format("", 0, false, true), make_format("5"),
  };
  return all;
}

// Whether the scanner should have seen a number here, decided the slow way.
inline bool is_number(std::string_view token, const readers::Format& format, double& value) {
  const auto parsed = format.hex ? readers::parse_hex(token) : readers::parse_decimal(token);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

// `text` is copied to a block of exactly its size, so that one byte read too far is seen by the sanitizer.
inline void check_text(std::string_view text, const readers::Format& format) {
  const auto block = std::make_unique<char[]>(text.size());
  if (!text.empty()) std::memcpy(block.get(), text.data(), text.size());
  const std::string_view copy(block.get(), text.size());

  const readers::Scan counted = readers::scan_text(copy, format, {});
  const auto room = std::make_unique<double[]>(counted.count);
  const readers::Scan full = readers::scan_text(copy, format, {room.get(), counted.count});
  CHECK(full.count == counted.count && full.shape == counted.shape);
  if (counted.count > 1) {
    const auto half = std::make_unique<double[]>(counted.count / 2);
    const readers::Scan cut_short = readers::scan_text(copy, format, {half.get(), counted.count / 2});
    CHECK(cut_short.count == counted.count && cut_short.shape == counted.shape);
    CHECK(std::memcmp(half.get(), room.get(), counted.count / 2 * sizeof(double)) == 0);
  }

  size_t numbers = 0;
  size_t end = 0;
  uint32_t line = 0;
  uint32_t column = 0;
  for (const readers::TokenWords& token : readers::list_tokens(copy, format)) {
    CHECK(token.at >= end && token.length > 0 && token.at + token.length <= copy.size() && token.line >= line);
    // Between tokens stand only bytes that end one, and as many line feeds as lines have passed.
    const std::string_view between = copy.substr(end, token.at - end);
    CHECK(std::all_of(between.begin(), between.end(), [&](char byte) { return format.ends_token(byte); }));
    CHECK(std::count(between.begin(), between.end(), '\n') == token.line - line);
    const std::string_view bytes = copy.substr(token.at, token.length);
    CHECK(std::none_of(bytes.begin(), bytes.end(), [&](char byte) { return format.ends_token(byte); }));
    if (token.line != line) column = 0;
    line = token.line;
    double value = 0;
    const bool number = !format.text && column >= format.keys && is_number(bytes, format, value);
    CHECK(number == (token.number != readers::kTextToken));
    if (number) {
      CHECK(token.number == numbers && numbers < full.count);
      CHECK(std::bit_cast<uint64_t>(room[numbers]) == std::bit_cast<uint64_t>(value));
      ++numbers;
    }
    ++column;
    end = token.at + token.length;
  }
  const std::string_view rest = copy.substr(end);
  CHECK(std::all_of(rest.begin(), rest.end(), [&](char byte) { return format.ends_token(byte); }));
  CHECK(numbers == full.count);
}

}  // namespace tests
