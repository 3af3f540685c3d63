// Questions to the kernel over netlink(7).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace readers {

// Longer answers are refused: a million sockets take less.
inline constexpr size_t kLargestAnswer = size_t{512} << 20;

// Sends one request (with its header) to the kernel and gathers the messages of the answer, headers included, back to back.
// `strict`: the kernel refuses what it would ignore, and filters dumps by the request. Waits at most two seconds for each part.
// Returns 0 or an errno: that of a system call, or the one the kernel answered with.
[[nodiscard]] int ask_netlink(int protocol, bool strict, std::span<const uint8_t> request, std::vector<uint8_t>& answer);

}  // namespace readers
