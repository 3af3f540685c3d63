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
  // What stands between texts is told by events of two bits (0 to 2) or by a byte. They are gathered in a word before they
  // are mixed in, because numbers come every few nanoseconds and a mixing step takes as long.
  void event(uint64_t code) noexcept {
    events_ = events_ << 2U | code;
    if (events_ >= kFull) flush_events();
  }
  void event_byte(uint8_t byte) noexcept {
    // The one code that is no event of its own says that a byte follows.
    events_ = events_ << 10U | uint64_t{3} << 8U | byte;
    if (events_ >= kFull) flush_events();
  }

  // A token of text, together with the events before it. Its length takes part, so "ab" "c" and "a" "bc" differ.
  void text(std::string_view bytes) noexcept {
    const char* at = bytes.data();
    size_t left = bytes.size();
    if (left <= 8) {
      mix(tail(at, left), events_ << 4U | left);
    } else {
      mix(load<uint64_t>(at), events_ << 4U | kLongText);
      at += 8;
      left -= 8;
      for (; left > 8; at += 8, left -= 8) mix(load<uint64_t>(at), 0);
      mix(tail(at, left), bytes.size());
    }
    events_ = kNoEvents;
  }

  [[nodiscard]] uint64_t value() noexcept {
    flush_events();
    return state_;
  }

 private:
  __extension__ using Wide = unsigned __int128;

  // An odd number with evenly spread bits (wyhash's secret).
  static constexpr uint64_t kFactor = 0xa0761d6478bd642fU;
  // The leading one tells how many events follow it.
  static constexpr uint64_t kNoEvents = 1;
  // Beyond this another event might not fit: `events_` stays below 2^60, the length of a short text goes beside it.
  static constexpr uint64_t kFull = uint64_t{1} << 50U;
  // In place of the length of a short text, 0 to 8.
  static constexpr uint64_t kLongText = 15;
  static constexpr uint64_t kNoText = 14;

  void mix(uint64_t a, uint64_t b) noexcept {
    const Wide product = static_cast<Wide>(state_ ^ a) * (kFactor ^ b);
    state_ = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64U);
  }

  void flush_events() noexcept {
    mix(0, events_ << 4U | kNoText);
    events_ = kNoEvents;
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
  uint64_t events_ = kNoEvents;
};

}  // namespace readers
