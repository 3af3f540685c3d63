#include "readers/device_call.hpp"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace readers {
namespace {

// Behind the room, never mapped: a driver that writes past it gets EFAULT.
constexpr size_t kGuard = size_t{64} << 10;

}  // namespace

void EthtoolCalls::close() noexcept {
  socket_.close();
  if (room_ != nullptr) munmap(room_, kRoom + kGuard);
  room_ = nullptr;
}

int EthtoolCalls::prepare() noexcept {
  if (!socket_.is_open()) {
    const int number = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (number < 0) return errno;
    socket_ = Descriptor(number);
  }
  if (room_ != nullptr) return 0;
  void* room = mmap(nullptr, kRoom + kGuard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return errno;
  room_ = static_cast<uint8_t*>(room);
  if (mprotect(room_, kRoom, PROT_READ | PROT_WRITE) == 0) return 0;
  const int error = errno;
  munmap(room_, kRoom + kGuard);
  room_ = nullptr;
  return error;
}

int EthtoolCalls::exchange(const std::string& device, std::span<uint8_t> command) noexcept {
  if (command.size() < sizeof(uint32_t)) return EINVAL;
  if (command.size() > kRoom) return EFBIG;
  if (device.empty() || device.size() >= IFNAMSIZ) return ENODEV;
  if (const int error = prepare(); error != 0) return error;
  std::memcpy(room_, command.data(), command.size());
  ifreq request{};
  std::memcpy(request.ifr_name, device.data(), device.size());
  request.ifr_data = reinterpret_cast<char*>(room_);
  if (ioctl(socket_.number(), SIOCETHTOOL, &request) < 0) return errno;
  std::memcpy(command.data(), room_, command.size());
  return 0;
}

int EthtoolCalls::read_statistics(const std::string& device, std::span<double> numbers) {
  const ethtool_stats asked{.cmd = ETHTOOL_GSTATS, .n_stats = static_cast<uint32_t>(numbers.size())};
  command_.resize(sizeof asked + numbers.size() * sizeof(uint64_t));
  std::memcpy(command_.data(), &asked, sizeof asked);
  if (const int error = exchange(device, command_); error != 0) return error;
  ethtool_stats told{};
  std::memcpy(&told, command_.data(), sizeof told);
  if (told.n_stats != numbers.size()) return -1;
  for (size_t i = 0; i < numbers.size(); ++i) {
    uint64_t number = 0;
    std::memcpy(&number, command_.data() + sizeof told + i * sizeof number, sizeof number);
    numbers[i] = static_cast<double>(number);
  }
  return 0;
}

int ask_folder(const std::string& folder, uint32_t direction, uint32_t type, uint32_t number, std::span<uint8_t> exchange) noexcept {
  if (direction > (kWrites | kReads) || type > 0xff || number > 0xff) return EINVAL;
  if (exchange.empty() || exchange.size() > _IOC_SIZEMASK) return EFBIG;
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;
  // Reading must not count as use of the folder; only its owner may ask for that.
  int file = open(folder.c_str(), kFlags | O_NOATIME);
  if (file < 0 && errno == EPERM) file = open(folder.c_str(), kFlags);
  if (file < 0) return errno;
  const uint32_t request_direction = ((direction & kWrites) != 0 ? _IOC_WRITE : 0U) | ((direction & kReads) != 0 ? _IOC_READ : 0U);
  const unsigned long request = _IOC(request_direction, type, number, exchange.size());
  const int error = ioctl(file, request, exchange.data()) < 0 ? errno : 0;
  ::close(file);
  return error;
}

}  // namespace readers
