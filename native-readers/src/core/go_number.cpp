#include "core/go_number.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace readers {
namespace {

constexpr int kSmallestPlainExponent = -4;
constexpr int kSmallestLargeExponent = 6;
constexpr double kTwoTo53 = 9007199254740992.0;

size_t put(char* out, std::string_view text) noexcept {
  std::memcpy(out, text.data(), text.size());
  return text.size();
}

char* put_digits(char* out, const char* digits, int count) noexcept {
  std::memcpy(out, digits, static_cast<size_t>(count));
  return out + count;
}

char* put_zeros(char* out, int count) noexcept {
  std::memset(out, '0', static_cast<size_t>(count));
  return out + count;
}

// At least two digits, as Go and C print exponents.
char* put_exponent(char* out, int exponent) noexcept {
  *out++ = 'e';
  *out++ = exponent < 0 ? '-' : '+';
  const int magnitude = exponent < 0 ? -exponent : exponent;
  if (magnitude >= 100) *out++ = static_cast<char>('0' + magnitude / 100);
  *out++ = static_cast<char>('0' + magnitude / 10 % 10);
  *out++ = static_cast<char>('0' + magnitude % 10);
  return out;
}

// Lays out d.ddd x 10^exponent. `digits` has no trailing zeros.
char* lay_out(char* out, const char* digits, int count, int exponent) noexcept {
  if (exponent < kSmallestPlainExponent || exponent >= kSmallestLargeExponent) {
    *out++ = digits[0];
    if (count > 1) {
      *out++ = '.';
      out = put_digits(out, digits + 1, count - 1);
    }
    return put_exponent(out, exponent);
  }
  if (exponent < 0) {
    out = put_digits(out, "0.", 2);
    out = put_zeros(out, -exponent - 1);
    return put_digits(out, digits, count);
  }
  const int whole = exponent + 1;
  if (count <= whole) {
    out = put_digits(out, digits, count);
    return put_zeros(out, whole - count);
  }
  out = put_digits(out, digits, whole);
  *out++ = '.';
  return put_digits(out, digits + whole, count - whole);
}

// Prints scaled / 10^decimals. Correct only when those are the shortest digits, see below.
char* put_scaled(char* out, uint64_t scaled, int decimals) noexcept {
  char digits[20];
  int count = static_cast<int>(std::to_chars(digits, digits + sizeof digits, scaled).ptr - digits);
  const int exponent = count - 1 - decimals;
  while (count > 1 && digits[count - 1] == '0') --count;
  return lay_out(out, digits, count, exponent);
}

// The general case: the shortest digits come from to_chars ("d.dddde-dd"), the layout is ours.
char* put_shortest(char* out, double magnitude) noexcept {
  char text[kNumberRoom];
  const char* end = std::to_chars(text, text + sizeof text, magnitude, std::chars_format::scientific).ptr;
  char digits[kNumberRoom];
  int count = 0;
  const char* at = text;
  for (; *at != 'e'; ++at) {
    if (*at != '.') digits[count++] = *at;
  }
  ++at;
  const bool negative = *at++ == '-';
  int exponent = 0;
  for (; at != end; ++at) exponent = exponent * 10 + (*at - '0');
  return lay_out(out, digits, count, negative ? -exponent : exponent);
}

// Prints `magnitude` when it is the double nearest to some k / 10^decimals with k < 10^15; returns null otherwise.
// Two decimals of at most 15 digits never share a double, so k without its trailing zeros has the shortest digits.
// k is exact and so is the power of ten: their quotient, rounded once, equals `magnitude` exactly in that case.
char* put_short_decimal(char* out, double magnitude, double power, int decimals) noexcept {
  const auto scaled = static_cast<uint64_t>(magnitude * power + 0.5);
  if (scaled == 0 || static_cast<double>(scaled) / power != magnitude) return nullptr;
  return put_scaled(out, scaled, decimals);
}

char* put_magnitude(char* out, double magnitude) noexcept {
  if (magnitude < kTwoTo53) {
    const auto whole = static_cast<uint64_t>(magnitude);
    if (static_cast<double>(whole) == magnitude) {
      if (whole < 1'000'000) return std::to_chars(out, out + kNumberRoom, whole).ptr;
      // Neighbours of integers below 2^53 are at most 1 apart: nothing shorter than the integer's own digits reads back.
      return put_scaled(out, whole, 0);
    }
    char* end = nullptr;
    if (magnitude < 1e6) {
      end = put_short_decimal(out, magnitude, 1e9, 9);
    } else if (magnitude < 1e10) {
      end = put_short_decimal(out, magnitude, 1e5, 5);
    }
    if (end != nullptr) return end;
  }
  return put_shortest(out, magnitude);
}

}  // namespace

size_t format_go_number(double value, char* out) noexcept {
  if (value == 0) return put(out, "0");
  if (std::isnan(value)) return put(out, "NaN");
  if (std::isinf(value)) return put(out, value > 0 ? "+Inf" : "-Inf");
  char* at = out;
  if (value < 0) *at++ = '-';
  return static_cast<size_t>(put_magnitude(at, std::fabs(value)) - out);
}

}  // namespace readers
