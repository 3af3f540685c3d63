// Numbers as kernel files spell them -> double.
#pragma once

#include <optional>
#include <string_view>

namespace readers {

// A longer token is text. 64 characters hold every number a kernel prints and keep decimals far inside the double range.
inline constexpr size_t kLongestNumber = 64;

// -?[0-9]+(\.[0-9]+)? as the nearest double. Integers outside u64 (i64 when negative) and everything else: nothing.
[[nodiscard]] std::optional<double> parse_decimal(std::string_view token) noexcept;

// (0x)?[0-9a-fA-F]+ up to 64 bits as the nearest double; everything else: nothing.
[[nodiscard]] std::optional<double> parse_hex(std::string_view token) noexcept;

}  // namespace readers
