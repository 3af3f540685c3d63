// A 64-bit hash of a text's shape, fed piece by piece.
//
// The mixing step is wyhash's: multiply to 128 bits and fold the halves together. Two different shapes meet with a
// chance of about 2^-64 per comparison. Nothing outside one process ever sees a value, so it may change freely.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/word.hpp"

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
  // `readable` says how many bytes may be read from its start, those behind the token included.
  void text(const char* at, size_t length, size_t readable) noexcept {
    if (length <= 16) {
      const Pair pair = readable >= 16 && word::kUsable ? masked(at, length) : copied(at, length);
      mix(pair.first, events_ << 4U | kText);
      mix(pair.second, length);
    } else {
      mix(word::load(at), events_ << 4U | kText);
      size_t left = length - 8;
      for (at += 8; left > 8; at += 8, left -= 8) mix(word::load(at), 0);
      // The last eight bytes, some of them for the second time.
      mix(word::load(at + left - 8), length);
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
  // Beyond this another event might not fit: `events_` stays below 2^60, four bits go beside it.
  static constexpr uint64_t kFull = uint64_t{1} << 50U;
  // Whether a text follows the events.
  static constexpr uint64_t kText = 15;
  static constexpr uint64_t kNoText = 14;

  void mix(uint64_t a, uint64_t b) noexcept {
    const Wide product = static_cast<Wide>(state_ ^ a) * (kFactor ^ b);
    state_ = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64U);
  }

  void flush_events() noexcept {
    mix(0, events_ << 4U | kNoText);
    events_ = kNoEvents;
  }

  // A text of up to 16 bytes, filled up with zeros.
  struct Pair {
    uint64_t first;
    uint64_t second;
  };

  // Without a branch: lengths of neighbouring words cannot be foretold.
  static Pair masked(const char* at, size_t length) noexcept {
    const size_t head = length < 8 ? length : 8;
    const size_t rest = length - head;
    return {word::load(at) & word::low_bytes(head), word::load(at + 8) & word::low_bytes(rest)};
  }

  static Pair copied(const char* at, size_t length) noexcept {
    char bytes[16] = {};
    if (length != 0) std::memcpy(bytes, at, length);
    return {word::load(bytes), word::load(bytes + 8)};
  }

  uint64_t state_ = 0x8ebc6af09c88c6e3U;
  uint64_t events_ = kNoEvents;
};

}  // namespace readers
