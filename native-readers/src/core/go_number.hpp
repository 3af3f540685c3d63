// double -> text as Prometheus' Go library prints sample values.
#pragma once

#include <cstddef>

namespace readers {

// No value needs more: "-2.2250738585072014e-308" has 24 bytes.
inline constexpr size_t kNumberRoom = 24;

// Writes `value` to `out` (room for kNumberRoom bytes) and returns the length. No terminator.
//
// The rule is strconv.FormatFloat(f, 'g', -1, 64) as prometheus/common's expfmt calls it (text_create.go, writeFloat):
// shortest digits that read back as the same double; exponent form below 1e-4 and from 1e+06 up with at least two
// exponent digits; NaN, +Inf, -Inf; both zeros print "0", because writeFloat compares with 0 before it formats.
[[nodiscard]] size_t format_go_number(double value, char* out) noexcept;

}  // namespace readers
