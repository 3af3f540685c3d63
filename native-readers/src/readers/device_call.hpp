// ioctl(2) as two parts of the kernel are asked: drivers of network devices (SIOCETHTOOL) and file systems, through a folder.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/file.hpp"

namespace readers {

// Conversations with drivers of network devices: a socket and the room in which the kernel answers, both made when they are first needed.
class EthtoolCalls {
 public:
  EthtoolCalls() noexcept = default;
  EthtoolCalls(const EthtoolCalls&) = delete;
  EthtoolCalls& operator=(const EthtoolCalls&) = delete;
  ~EthtoolCalls() { close(); }

  // Bytes of the longest command: 32768 names of 32 bytes, what ethtool(8) and its libraries take.
  static constexpr size_t kRoom = (size_t{1} << 20) + 4096;

  // `command` is a structure of linux/ethtool.h, which the kernel's answer replaces. Returns 0 or an errno. Drivers write as
  // much as they have, whatever length the structure gives: what passes the end of `command` is dropped.
  [[nodiscard]] int exchange(const std::string& device, std::span<uint8_t> command) noexcept;
  // The numbers of a device's statistics (ETHTOOL_GSTATS). Returns 0, an errno, or -1 when it has not as many as `numbers`.
  [[nodiscard]] int read_statistics(const std::string& device, std::span<double> numbers);
  // Gives socket and room back; a later exchange makes them anew.
  void close() noexcept;

 private:
  [[nodiscard]] int prepare() noexcept;

  Descriptor socket_;
  // A command for statistics; kept for its room.
  std::vector<uint8_t> command_;
  uint8_t* room_ = nullptr;
};

// Bits of `direction`, as seen by the caller.
inline constexpr uint32_t kWrites = 1;
inline constexpr uint32_t kReads = 2;

// One request to the file system of a folder, which is opened for it: a kept descriptor would keep the mount busy.
// The size in the request's number is that of `exchange`, so the kernel writes no further. Returns 0 or an errno.
[[nodiscard]] int ask_folder(const std::string& folder, uint32_t direction, uint32_t type, uint32_t number,
                             std::span<uint8_t> exchange) noexcept;

}  // namespace readers
