// Eight bytes at a time: where a token ends and what its digits are worth, without a branch per byte.
//
// A branch per byte costs a misprediction (15 to 20 cycles) at nearly every token's end, more than the rest of the work.
// Needs the first byte of a text in the lowest bits, as on every machine node runs Linux on except s390x; see kUsable.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace readers::word {

inline constexpr size_t kBytes = 8;
inline constexpr bool kUsable = std::endian::native == std::endian::little;

inline constexpr uint64_t kOnes = 0x0101010101010101U;
inline constexpr uint64_t kHighBits = 0x8080808080808080U;

[[nodiscard]] inline uint64_t load(const char* at) noexcept {
  uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

// The same byte eight times.
[[nodiscard]] constexpr uint64_t repeat(uint8_t byte) noexcept { return kOnes * byte; }

// The high bit of each byte below `limit` (at most 128). Bits above the lowest one set may be wrong: borrows run upwards.
[[nodiscard]] constexpr uint64_t below(uint64_t bytes, uint8_t limit) noexcept {
  return (bytes - repeat(limit)) & ~bytes & kHighBits;
}

// The high bit of each byte equal to the repeated one; again only the lowest bit set is sure.
[[nodiscard]] constexpr uint64_t equal(uint64_t bytes, uint64_t repeated) noexcept {
  return below(bytes ^ repeated, 1);
}

// A mask of the first `count` (0 to 8) bytes.
[[nodiscard]] constexpr uint64_t low_bytes(size_t count) noexcept {
  return count == 0 ? 0 : ~uint64_t{0} >> (64 - count * 8);
}

// How many of the first bytes are equal to the repeated one.
[[nodiscard]] constexpr size_t leading(uint64_t bytes, uint64_t repeated) noexcept {
  return static_cast<size_t>(std::countr_zero(bytes ^ repeated)) / 8;
}

// Offset of the byte whose high bit is the lowest one set; 8 when none is.
[[nodiscard]] constexpr size_t first(uint64_t high_bits) noexcept {
  return static_cast<size_t>(std::countr_zero(high_bits)) / 8;
}

// Moves the first `count` (1 to 8) bytes to the end as digit values, zeros before them; bytes that are no digits become
// more than 9.
[[nodiscard]] constexpr uint64_t digits(uint64_t bytes, size_t count) noexcept {
  return (bytes ^ repeat('0')) << (64 - count * 8);
}

[[nodiscard]] constexpr bool are_digits(uint64_t values) noexcept {
  return (((values + repeat(0x76)) | values) & kHighBits) == 0;
}

// Value of eight digit values, the first in the lowest byte: pairs, then fours, then all (D. Lemire, fast_float).
[[nodiscard]] constexpr uint64_t number(uint64_t values) noexcept {
  constexpr uint64_t kPairs = 0x000000ff000000ffU;
  const uint64_t pairs = values * 10 + (values >> 8U);
  return ((pairs & kPairs) * (100 + (uint64_t{1000000} << 32U)) +
          ((pairs >> 16U) & kPairs) * (1 + (uint64_t{10000} << 32U))) >>
         32U;
}

}  // namespace readers::word
