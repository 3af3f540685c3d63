#include "readers/netlink.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace readers {
namespace {

constexpr time_t kPatienceSeconds = 2;
// The kernel fills a part up to the room that its reader offers, 32 KiB at most.
constexpr size_t kPartBytes = size_t{64} << 10;

// A socket that is closed at the end of a question.
class Socket {
 public:
  explicit Socket(int protocol) noexcept : descriptor_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

enum class Part { more, end };

// Looks through the messages of one part. `error` is set when the kernel refused.
Part read_part(std::span<const uint8_t> part, int& error) noexcept {
  bool is_multi = false;
  while (part.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, part.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > part.size()) {
      error = EBADMSG;
      return Part::end;
    }
    const std::span<const uint8_t> payload = part.subspan(sizeof header, header.nlmsg_len - sizeof header);
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
      int32_t code = 0;
      if (payload.size() >= sizeof code) std::memcpy(&code, payload.data(), sizeof code);
      error = code < 0 ? -code : 0;
      return Part::end;
    }
    is_multi = (header.nlmsg_flags & NLM_F_MULTI) != 0;
    part = part.subspan(std::min<size_t>(part.size(), NLMSG_ALIGN(header.nlmsg_len)));
  }
  return is_multi ? Part::more : Part::end;
}

}  // namespace

int ask_netlink(int protocol, bool strict, std::span<const uint8_t> request, std::vector<uint8_t>& answer) {
  answer.clear();
  const Socket kernel(protocol);
  if (kernel.descriptor() < 0) return errno;
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  if (setsockopt(kernel.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) return errno;
  const int on = 1;
  // Kernels before 4.20 do not know it and are not strict.
  if (strict) static_cast<void>(setsockopt(kernel.descriptor(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on));
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  if (sendto(kernel.descriptor(), request.data(), request.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) return errno;
  for (;;) {
    const size_t before = answer.size();
    if (before > kLargestAnswer) return EFBIG;
    answer.resize(before + kPartBytes);
    sockaddr_nl from{};
    iovec room{.iov_base = answer.data() + before, .iov_len = kPartBytes};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &room;
    message.msg_iovlen = 1;
    const ssize_t got = recvmsg(kernel.descriptor(), &message, 0);
    if (got < 0 && errno == EINTR) {
      answer.resize(before);
      continue;
    }
    if (got < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    answer.resize(before + static_cast<size_t>(got));
    if ((message.msg_flags & MSG_TRUNC) != 0) return EMSGSIZE;
    // Anyone may send to a netlink socket; only the kernel has number 0.
    if (from.nl_pid != 0) {
      answer.resize(before);
      continue;
    }
    if (got == 0) return EPIPE;
    int error = 0;
    if (read_part(std::span<const uint8_t>(answer).subspan(before), error) == Part::end) return error;
  }
}

}  // namespace readers
