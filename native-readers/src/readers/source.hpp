// A file that is read again and again, and what is remembered of it between scans.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "core/file.hpp"
#include "readers/format.hpp"
#include "readers/scanner.hpp"

namespace readers {

enum class ScanState : uint8_t {
  same,
  changed,
  // More numbers than room: nothing is remembered of this scan until one with enough room succeeds.
  need_more,
  failed,
};

struct [[nodiscard]] ScanResult {
  ScanState state;
  // An errno, when failed.
  int error = 0;
  // Numbers found (and wanted, when need_more).
  size_t count = 0;
};

// A shape as a number that JavaScript keeps whole.
[[nodiscard]] constexpr uint64_t shape_number(uint64_t shape) noexcept { return shape >> 11U; }

// A directory that paths are relative to. Kept open from the first file on: the kernel then looks up the rest of a path only,
// openat(2).
class BaseFolder {
 public:
  explicit BaseFolder(std::string path) noexcept : path_(std::move(path)) {}

  // Opens a file of it. Returns 0 or an errno, that of the directory if that cannot be opened.
  [[nodiscard]] int open(const char* path, Descriptor& file) noexcept;
  void close() noexcept { folder_.close(); }

 private:
  std::string path_;
  Descriptor folder_;
};

class Source {
 public:
  // `base`, which outlives the source: what the path is relative to, unless it is absolute.
  explicit Source(std::string path, BaseFolder* base = nullptr) noexcept : path_(std::move(path)), base_(base) {}

  // Reads the file into `buffer` and scans it.
  ScanResult scan(const Format& format, const KeepRule& keep, TextBuffer& buffer, std::span<double> room) noexcept;
  // Scans a text that was read before, after need_more.
  ScanResult rescan(const Format& format, std::string_view text, std::span<double> room) noexcept;
  // Reads the file and remembers nothing. Returns 0 or an errno.
  [[nodiscard]] int read(const Format& format, const KeepRule& keep, TextBuffer& buffer) noexcept;
  void close() noexcept { file_.close(); }
  // Of the last scan that succeeded.
  [[nodiscard]] uint64_t shape() const noexcept { return last_.shape; }
  // Whether the kernel says that nothing was mounted, unmounted or mounted anew since the last scan, for mountinfo of procfs
  // (proc_pid_mounts(5): poll(2) tells). For any other file false, which only means that it has to be read.
  [[nodiscard]] bool is_still() noexcept;
  // The next scan counts as changed.
  void forget() noexcept { known_ = false; }

 private:
  [[nodiscard]] int open() noexcept { return base_ == nullptr ? file_.open(path_.c_str()) : base_->open(path_.c_str(), file_); }
  // Closes a file of which the kernel may still have the text that was read last.
  void forget_lingering() noexcept;
  [[nodiscard]] int read_open(const Format& format, TextBuffer& buffer) noexcept;

  std::string path_;
  BaseFolder* base_;
  Descriptor file_;
  // Bytes of the text last read.
  size_t size_ = 0;
  // When a file that lingers was read last.
  double read_ms_ = -std::numeric_limits<double>::infinity();
  Scan last_;
  // False before the first scan and after a failed one: the next scan counts as changed.
  bool known_ = false;
};

}  // namespace readers
