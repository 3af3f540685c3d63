// A 64-bit hash of a text's shape, fed piece by piece.
//
// The mixing step is wyhash's: multiply to 128 bits and fold the halves together. Two different shapes meet with a
// chance of about 2^-64 per comparison. Nothing outside one process ever sees a value, so it may change freely.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace readers {

class ShapeHash {
 public:
  // One event that is not text: a number's place, a line end, a delimiter.
  void mark(uint64_t code) noexcept { state_ = fold(state_ ^ code, kMarkFactor); }

  // A text token. The length takes part, so that "ab" "c" and "a" "bc" differ.
  void text(std::string_view bytes) noexcept {
    const char* at = bytes.data();
    size_t left = bytes.size();
    const uint64_t factor = kTextFactor ^ (static_cast<uint64_t>(left) << 1);
    while (left > 8) {
      state_ = fold(state_ ^ load<uint64_t>(at), kTextFactor);
      at += 8;
      left -= 8;
    }
    state_ = fold(state_ ^ tail(at, left), factor);
  }

  [[nodiscard]] uint64_t value() const noexcept { return state_; }

 private:
  __extension__ using Wide = unsigned __int128;

  // Odd numbers with evenly spread bits (wyhash's secret).
  static constexpr uint64_t kTextFactor = 0xa0761d6478bd642fU;
  static constexpr uint64_t kMarkFactor = 0xe7037ed1a0b428dbU;

  static uint64_t fold(uint64_t a, uint64_t b) noexcept {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64U);
  }

  template <typename Word>
  static uint64_t load(const char* at) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
  }

  // The last 0 to 8 bytes as one word; overlapping loads instead of a byte loop, none of them past the end.
  static uint64_t tail(const char* at, size_t left) noexcept {
    if (left >= 4) return load<uint32_t>(at) | load<uint32_t>(at + left - 4) << 32U;
    if (left == 0) return 0;
    return load<uint8_t>(at) | load<uint8_t>(at + left / 2) << 8U | load<uint8_t>(at + left - 1) << 16U;
  }

  uint64_t state_ = 0x8ebc6af09c88c6e3U;
};

}  // namespace readers
