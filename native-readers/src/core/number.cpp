#include "core/number.hpp"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace readers {
namespace {

constexpr uint64_t kMostNegative = uint64_t{1} << 63U;

bool is_digit(char byte) noexcept { return byte >= '0' && byte <= '9'; }

size_t digits_from(std::string_view token, size_t at) noexcept {
  size_t end = at;
  while (end < token.size() && is_digit(token[end])) ++end;
  return end - at;
}

std::optional<uint64_t> parse_u64(std::string_view digits, int base) noexcept {
  uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> parse_decimal(std::string_view token) noexcept {
  if (token.size() > kLongestNumber) return std::nullopt;
  const bool negative = token.starts_with('-');
  const std::string_view unsigned_part = token.substr(negative ? 1 : 0);
  const size_t whole = digits_from(unsigned_part, 0);
  if (whole == 0) return std::nullopt;

  if (whole == unsigned_part.size()) {
    const auto magnitude = parse_u64(unsigned_part, 10);
    if (!magnitude || (negative && *magnitude > kMostNegative)) return std::nullopt;
    // Negated as a double, so that "-0" is -0 as in JavaScript.
    const auto value = static_cast<double>(*magnitude);
    return negative ? -value : value;
  }

  if (unsigned_part[whole] != '.') return std::nullopt;
  const size_t fraction = digits_from(unsigned_part, whole + 1);
  if (fraction == 0 || whole + 1 + fraction != unsigned_part.size()) return std::nullopt;
  double value = 0;
  const char* end = token.data() + token.size();
  const auto [stop, error] = std::from_chars(token.data(), end, value, std::chars_format::fixed);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<double> parse_hex(std::string_view token) noexcept {
  if (token.size() > kLongestNumber) return std::nullopt;
  if (token.starts_with("0x")) token.remove_prefix(2);
  if (token.empty() || token.front() == '-') return std::nullopt;
  const auto value = parse_u64(token, 16);
  if (!value) return std::nullopt;
  return static_cast<double>(*value);
}

}  // namespace readers
