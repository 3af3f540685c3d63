// What replayed runs take from the kernel's answers over netlink(7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace readers {

struct Question {
  int protocol = 0;
  // See NetlinkClient::ask.
  bool is_strict = false;
  // One message with its header.
  std::vector<uint8_t> request;
};

// An answer as it was when JavaScript decoded it.
struct KnownAnswer {
  struct Range {
    uint32_t from;
    uint32_t to;
  };
  // A number in the byte order of the machine, of four or eight bytes.
  struct Field {
    uint32_t at;
    uint32_t bytes;
  };
  std::vector<uint8_t> bytes;
  // Bytes that may be others, in their order.
  std::vector<Range> loose;
  std::vector<Field> fields;

  // True when every range and field lies within the bytes.
  [[nodiscard]] bool is_sound() const noexcept;
  // Whether an answer says the same but for the loose bytes.
  [[nodiscard]] bool is_like(std::span<const uint8_t> answer) const noexcept;
  // The fields of an answer that is like it; `numbers` has room for them.
  void read(std::span<const uint8_t> answer, std::span<double> numbers) const noexcept;
};

// Sockets by state (include/net/tcp_states.h; 0 for others), bytes in their receive queues, bytes in their send queues.
inline constexpr size_t kSocketStates = 12;
inline constexpr size_t kSocketNumbers = kSocketStates + 2;

// Adds up the messages `type` (struct inet_diag_msg) of an answer. False when it is cut off, or has no socket.
[[nodiscard]] bool count_sockets(std::span<const uint8_t> answer, uint16_t type, std::span<double, kSocketNumbers> numbers) noexcept;

}  // namespace readers
