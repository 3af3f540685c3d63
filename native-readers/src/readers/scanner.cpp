#include "readers/scanner.hpp"

namespace readers {
namespace {

// Events of the shape, and the byte events: a gap before a word, a delimiter (ASCII) with or without a gap before it.
constexpr uint64_t kNumber = 0;
constexpr uint64_t kNumberAfterGap = 1;
constexpr uint64_t kLineEnd = 2;
constexpr uint8_t kGapBeforeWord = 0;
constexpr uint8_t kGapBeforeDelimiter = 0x80;

class ShapeSink {
 public:
  ShapeSink(std::string_view text, std::span<double> room) noexcept : text_(text), room_(room) {}

  void number(size_t, size_t, double value, bool gap) noexcept {
    if (count_ < room_.size()) room_[count_] = value;
    ++count_;
    hash_.event(gap ? kNumberAfterGap : kNumber);
  }
  void word(size_t at, size_t length, bool gap) noexcept {
    if (gap) hash_.event_byte(kGapBeforeWord);
    hash_.text(text_.data() + at, length, text_.size() - at);
  }
  void delimiter(char byte, bool gap) noexcept {
    hash_.event_byte(static_cast<uint8_t>(static_cast<uint8_t>(byte) | (gap ? kGapBeforeDelimiter : 0)));
  }
  void line_end() noexcept { hash_.event(kLineEnd); }

  [[nodiscard]] Scan result() noexcept { return {hash_.value(), count_}; }

 private:
  std::string_view text_;
  std::span<double> room_;
  size_t count_ = 0;
  ShapeHash hash_;
};

class TokenSink {
 public:
  void number(size_t at, size_t length, double, bool) { add(at, length, numbers_++); }
  void word(size_t at, size_t length, bool) { add(at, length, kTextToken); }
  void delimiter(char, bool) noexcept {}
  void line_end() noexcept { ++line_; }

  [[nodiscard]] std::vector<TokenWords> take() noexcept { return std::move(tokens_); }

 private:
  // A text has at most 64 MiB (kLargestText): every offset fits 32 bits.
  void add(size_t at, size_t length, uint32_t number) {
    tokens_.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(length), number, line_});
  }

  std::vector<TokenWords> tokens_;
  uint32_t numbers_ = 0;
  uint32_t line_ = 0;
};

}  // namespace

Scan scan_text(std::string_view text, const Format& format, std::span<double> room) noexcept {
  if (format.text) {
    ShapeHash hash;
    hash.text(text.data(), text.size(), text.size());
    return {hash.value(), 0};
  }
  ShapeSink sink(text, room);
  cut(text, format, sink);
  return sink.result();
}

std::vector<TokenWords> list_tokens(std::string_view text, const Format& format) {
  TokenSink sink;
  cut(text, format, sink);
  return sink.take();
}

}  // namespace readers
