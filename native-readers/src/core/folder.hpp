// Names in a folder, without a stream of the C library in between.
#pragma once

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/file.hpp"

namespace readers {

// Calls `see(const char* name)` for each name but . and .. in the kernel's order, from the start of the folder.
// Returns 0 or an errno. What is listed while the folder changes may or may not be told, as with readdir(3).
template <typename See>
[[nodiscard]] int list_names(const Descriptor& folder, See see) noexcept {
  // getdents64(2) as the kernel lays it out (include/linux/dirent.h): the glibc of Debian 11 has a wrapper, older ones do not.
  constexpr size_t kLengthAt = 16;
  constexpr size_t kNameAt = 19;
  alignas(uint64_t) std::array<char, 8192> entries;
  if (lseek(folder.number(), 0, SEEK_SET) < 0) return errno;
  for (;;) {
    const long got = syscall(SYS_getdents64, folder.number(), entries.data(), entries.size());
    if (got < 0) return errno;
    if (got == 0) return 0;
    for (size_t at = 0; at < static_cast<size_t>(got);) {
      uint16_t length = 0;
      std::memcpy(&length, entries.data() + at + kLengthAt, sizeof length);
      const char* name = entries.data() + at + kNameAt;
      if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0) see(name);
      at += length;
    }
  }
}

}  // namespace readers
