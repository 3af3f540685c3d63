// How the bytes of a source are cut into tokens: SourceFormat of src/readers/readers.ts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace readers {

enum class ByteClass : uint8_t { token, blank, delimiter, line_feed };

struct Format {
  std::array<ByteClass, 256> classes{};
  uint32_t keys = 0;
  bool hex = false;
  bool text = false;
  bool reopen = false;
  bool attribute = false;
  // Largest text in bytes.
  size_t cap = 0;

  // Space, tab and line feed keep their own meaning even when listed.
  void set_delimiters(std::string_view delimiters) noexcept {
    for (const char byte : delimiters) classes[static_cast<uint8_t>(byte)] = ByteClass::delimiter;
    classes[' '] = ByteClass::blank;
    classes['\t'] = ByteClass::blank;
    classes['\n'] = ByteClass::line_feed;
  }

  [[nodiscard]] ByteClass class_of(char byte) const noexcept { return classes[static_cast<uint8_t>(byte)]; }
};

}  // namespace readers
