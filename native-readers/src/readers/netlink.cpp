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
constexpr size_t kPartBytes = size_t{32} << 10U;

// Opens a socket for questions. Returns 0 or an errno.
int open_socket(int protocol, bool strict, Descriptor& into) noexcept {
  Descriptor made(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!made.is_open()) return errno;
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  if (setsockopt(made.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) return errno;
  const int on = 1;
  // Kernels before 4.20 do not know it and are not strict.
  if (strict) static_cast<void>(setsockopt(made.number(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on));
  into = std::move(made);
  return 0;
}

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

int NetlinkClient::ask(int protocol, bool strict, std::span<const uint8_t> request) {
  size_ = 0;
  auto known = std::find_if(sockets_.begin(), sockets_.end(), [&](const Socket& socket) {
    return socket.protocol == protocol && socket.strict == strict;
  });
  if (known == sockets_.end()) {
    Descriptor made;
    if (const int error = open_socket(protocol, strict, made); error != 0) return error;
    known = sockets_.insert(sockets_.end(), Socket{protocol, strict, std::move(made)});
  }
  bool is_complete = false;
  const int error = ask_on(known->descriptor, request, is_complete);
  if (!is_complete) sockets_.erase(known);
  if (error != 0) size_ = 0;
  return error;
}

int NetlinkClient::ask_on(const Descriptor& socket, std::span<const uint8_t> request, bool& is_complete) {
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  if (sendto(socket.number(), request.data(), request.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
    return errno;
  }
  for (;;) {
    if (size_ > kLargestAnswer) return EFBIG;
    if (capacity_ - size_ < kPartBytes && !grow_to(std::max(capacity_ * 2, size_ + kPartBytes))) return ENOMEM;
    sockaddr_nl from{};
    iovec room{.iov_base = bytes_.get() + size_, .iov_len = kPartBytes};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &room;
    message.msg_iovlen = 1;
    const ssize_t got = recvmsg(socket.number(), &message, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    if ((message.msg_flags & MSG_TRUNC) != 0) return EMSGSIZE;
    // Anyone may send to a netlink socket; only the kernel has number 0.
    if (from.nl_pid != 0) continue;
    if (got == 0) return EPIPE;
    const std::span<const uint8_t> part(bytes_.get() + size_, static_cast<size_t>(got));
    size_ += part.size();
    int error = 0;
    if (read_part(part, error) == Part::end) {
      is_complete = error != EBADMSG;
      return error;
    }
  }
}

bool NetlinkClient::grow_to(size_t capacity) noexcept {
  auto* grown = static_cast<uint8_t*>(std::realloc(bytes_.get(), capacity));
  if (grown == nullptr) return false;
  static_cast<void>(bytes_.release());
  bytes_.reset(grown);
  capacity_ = capacity;
  return true;
}

}  // namespace readers
