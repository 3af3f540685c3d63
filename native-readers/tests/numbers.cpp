#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "check.hpp"
#include "core/go_number.hpp"
#include "core/number.hpp"
#include "unit.hpp"

namespace tests {
namespace {

std::string go(double value) {
  char text[readers::kNumberRoom];
  return {text, readers::format_go_number(value, text)};
}

// Shortest digits by to_chars alone, laid out from its exponent form: what the fast paths must agree with.
std::string slow(double value) {
  char text[64];
  char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string form(text, end);
  const size_t mark = form.find('e');
  const int exponent = std::atoi(form.c_str() + mark + 1);
  if (exponent < -4 || exponent >= 6) return form;
  std::string digits;
  for (const char byte : form.substr(0, mark)) {
    if (byte >= '0' && byte <= '9') digits += byte;
  }
  const std::string sign = value < 0 ? "-" : "";
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent + 1);
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0');
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

uint64_t next(uint64_t& state) {
  state ^= state << 13U;
  state ^= state >> 7U;
  return state ^= state << 17U;
}

}  // namespace

void test_numbers() {
  using readers::parse_decimal;
  using readers::parse_hex;
  CHECK(parse_decimal("0") == 0.0);
  CHECK(parse_decimal("007") == 7.0);
  CHECK(parse_decimal("-3.50") == -3.5);
  CHECK(std::signbit(*parse_decimal("-0")) && std::signbit(*parse_decimal("-0.0")));
  CHECK(parse_decimal("18446744073709551615") == 18446744073709551615.0);
  CHECK(parse_decimal("9007199254740993") == 9007199254740992.0);
  CHECK(parse_decimal("-9223372036854775808") == -9223372036854775808.0);
  for (const std::string_view text : {"", "-", "--1", "+1", "1.", ".5", "1..2", "1.2.3", "1e5", "0x1", "1_0", " 1", "1 ", "inf", "nan",
                                      "18446744073709551616", "-9223372036854775809"}) {
    CHECK(!parse_decimal(text));
  }
  CHECK(parse_decimal(std::string(readers::kLongestNumber, '0')).has_value());
  CHECK(!parse_decimal(std::string(readers::kLongestNumber + 1, '0')));
  CHECK(parse_hex("0x1F") == 31.0);
  CHECK(parse_hex("ffffffffffffffff") == 18446744073709551615.0);
  for (const std::string_view text : {"", "0x", "0X1", "-1", "g", "0x0x1", "10000000000000000", "1.0"}) CHECK(!parse_hex(text));
}

void test_go_numbers() {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(go(0) == "0" && go(-0.0) == "0" && go(-1) == "-1");
  CHECK(go(infinity) == "+Inf" && go(-infinity) == "-Inf" && go(std::nan("")) == "NaN");
  CHECK(go(999999) == "999999" && go(1e6) == "1e+06" && go(1234567) == "1.234567e+06");
  CHECK(go(100000.5) == "100000.5" && go(999999.5) == "999999.5" && go(1000000.5) == "1.0000005e+06");
  CHECK(go(0.0001) == "0.0001" && go(0.00001) == "1e-05" && go(0.000123) == "0.000123");
  CHECK(go(1e100) == "1e+100" && go(5e-324) == "5e-324" && go(-2.2250738585072014e-308) == "-2.2250738585072014e-308");
  CHECK(go(1763736255.1234567) == "1.7637362551234567e+09" && go(9007199254740994.0) == "9.007199254740994e+15");
  CHECK(go(std::numeric_limits<double>::max()) == "1.7976931348623157e+308");

  uint64_t state = 42;
  for (int i = 0; i < 300'000; ++i) {
    const uint64_t bits = next(state);
    const auto any = std::bit_cast<double>(bits);
    if (std::isfinite(any) && any != 0) CHECK(go(any) == slow(any));
    // Where the fast paths are: integers, and decimals of up to twelve places, with their neighbours.
    const double whole = static_cast<double>(bits >> (bits % 60));
    const double decimal = static_cast<double>(bits >> 14U >> (bits % 48)) / std::pow(10.0, static_cast<double>(bits % 13));
    for (const double value : {whole, decimal, std::nextafter(decimal, infinity), std::nextafter(decimal, -infinity)}) {
      if (value != 0) CHECK(go(value) == slow(value));
    }
  }
  for (int exponent = -1074; exponent < 1024; ++exponent) {
    const double power = std::ldexp(1.0, exponent);
    for (const double value : {power, std::nextafter(power, infinity), std::nextafter(power, 0.0)}) {
      if (value != 0) CHECK(go(value) == slow(value));
    }
  }
}

}  // namespace tests
