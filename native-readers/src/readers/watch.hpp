// Directories watched by inotify(7).
#pragma once

#include <cstdint>
#include <vector>

#include "core/file.hpp"

namespace readers {

// Reports which entries of directories come, go and are written to. Never blocks.
class Watch {
 public:
  // Takes an inotify instance. Returns 0 or an errno (EMFILE: the user or the process has no more).
  [[nodiscard]] int open() noexcept;
  // Watches a directory: its entries (and writes to its files where `writes` is set). Returns its number, or a negative errno
  // (ENOSPC: the user may watch no more). A directory that is watched already keeps its number.
  [[nodiscard]] int add(const char* path, bool writes) noexcept;
  // The kernel ends the watch of a removed directory by itself, but not on kernfs (seen on Linux 6.18).
  void remove(int number) noexcept;
  // All that was reported since the last call: inotify_event structures back to back. Returns 0 or an errno.
  [[nodiscard]] int read(std::vector<uint8_t>& events) noexcept;
  // Whether nothing was reported since; not taken away if something was.
  [[nodiscard]] bool is_quiet() const noexcept;
  void close() noexcept { queue_.close(); }

 private:
  Descriptor queue_;
};

}  // namespace readers
