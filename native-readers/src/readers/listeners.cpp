#include "readers/listeners.hpp"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace readers {
namespace {

[[nodiscard]] bool listens_on(int descriptor, uint16_t port) noexcept {
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 || is_listening == 0) return false;
  sockaddr_storage address{};
  size = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port) == port;
  return address.ss_family == AF_INET6 && ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port) == port;
}

}  // namespace

int limit_send_buffers(uint16_t port, int bytes) noexcept {
  DIR* const descriptors = opendir("/proc/self/fd");
  if (descriptors == nullptr) return -errno;
  int found = 0;
  for (const dirent* entry = readdir(descriptors); entry != nullptr; entry = readdir(descriptors)) {
    int descriptor = -1;
    const char* const name = static_cast<const char*>(entry->d_name);
    if (std::from_chars(name, name + std::strlen(name), descriptor).ec != std::errc{} || !listens_on(descriptor, port)) continue;
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) != 0) {
      found = -errno;
      break;
    }
    found += 1;
  }
  closedir(descriptors);
  return found;
}

}  // namespace readers
