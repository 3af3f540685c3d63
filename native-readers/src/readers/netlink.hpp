// Questions to the kernel over netlink(7).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "core/file.hpp"

namespace readers {

// Longer answers are refused: a million sockets take less.
inline constexpr size_t kLargestAnswer = size_t{512} << 20;

// Asks the kernel and keeps its sockets: making one costs as much as a small answer. A socket on which a question did not come
// to its end is closed, so that no answer can be taken for another's.
class NetlinkClient {
 public:
  // Sends one request (with its header) to the kernel and gathers the messages of the answer, headers included, back to back.
  // `strict`: the kernel refuses what it would ignore, and filters dumps by the request. Waits at most two seconds for each part.
  // Returns 0 or an errno: that of a system call, or the one the kernel answered with.
  [[nodiscard]] int ask(int protocol, bool strict, std::span<const uint8_t> request);
  // The last answer, until the next question.
  [[nodiscard]] std::span<const uint8_t> answer() const noexcept { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const noexcept { std::free(bytes); }
  };
  struct Socket {
    int protocol;
    bool strict;
    Descriptor descriptor;
  };

  [[nodiscard]] int ask_on(const Descriptor& socket, std::span<const uint8_t> request, bool& is_complete);
  [[nodiscard]] bool grow_to(size_t capacity) noexcept;

  std::vector<Socket> sockets_;
  // malloc'ed: growing must not zero what recvmsg(2) fills.
  std::unique_ptr<uint8_t, Free> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace readers
