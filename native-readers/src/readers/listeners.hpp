// The listening sockets of this process.
#pragma once

#include <cstdint>

namespace readers {

// Bounds the send buffer (SO_SNDBUF, socket(7): the kernel takes twice the number) of every connection that is accepted
// from now on by the TCP listeners of this process on `port`: Linux hands the setting of a listener on to what it accepts.
// Returns how many listeners that are, or -errno.
[[nodiscard]] int limit_send_buffers(uint16_t port, int bytes) noexcept;

}  // namespace readers
