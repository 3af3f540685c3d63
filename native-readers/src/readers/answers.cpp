#include "readers/answers.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

namespace readers {
namespace {

template <typename T>
T load(const uint8_t* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

bool KnownAnswer::is_sound() const noexcept {
  uint32_t at = 0;
  for (const Range& range : loose) {
    if (range.from < at || range.to < range.from) return false;
    at = range.to;
  }
  const bool is_within = std::all_of(fields.begin(), fields.end(), [&](const Field& field) {
    return (field.bytes == 4 || field.bytes == 8) && field.at + size_t{field.bytes} <= bytes.size();
  });
  return is_within && at <= bytes.size();
}

bool KnownAnswer::is_like(std::span<const uint8_t> answer) const noexcept {
  if (answer.size() != bytes.size()) return false;
  size_t at = 0;
  for (const Range& range : loose) {
    if (std::memcmp(answer.data() + at, bytes.data() + at, range.from - at) != 0) return false;
    at = range.to;
  }
  return std::memcmp(answer.data() + at, bytes.data() + at, bytes.size() - at) == 0;
}

void KnownAnswer::read(std::span<const uint8_t> answer, std::span<double> numbers) const noexcept {
  for (size_t i = 0; i < fields.size(); ++i) {
    const uint8_t* at = answer.data() + fields[i].at;
    numbers[i] = fields[i].bytes == 4 ? static_cast<double>(load<uint32_t>(at)) : static_cast<double>(load<uint64_t>(at));
  }
}

bool count_sockets(std::span<const uint8_t> answer, uint16_t type, std::span<double, kSocketNumbers> numbers) noexcept {
  std::fill(numbers.begin(), numbers.end(), 0.0);
  bool has_any = false;
  while (answer.size() >= sizeof(nlmsghdr)) {
    const auto header = load<nlmsghdr>(answer.data());
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > answer.size()) return false;
    if (header.nlmsg_type == type) {
      if (header.nlmsg_len < sizeof header + sizeof(inet_diag_msg)) return false;
      const auto socket = load<inet_diag_msg>(answer.data() + sizeof header);
      numbers[socket.idiag_state < kSocketStates ? socket.idiag_state : 0] += 1;
      numbers[kSocketStates] += socket.idiag_rqueue;
      numbers[kSocketStates + 1] += socket.idiag_wqueue;
      has_any = true;
    }
    answer = answer.subspan(std::min<size_t>(answer.size(), NLMSG_ALIGN(header.nlmsg_len)));
  }
  return has_any;
}

}  // namespace readers
