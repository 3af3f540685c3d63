// Reading kernel files whole, again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace readers {

// Largest text a source may have, in bytes; more is EFBIG.
inline constexpr size_t kLargestText = size_t{64} << 20U;
// Bytes asked of an attribute (SourceFormat.attribute) in its one read.
inline constexpr size_t kAttributeBytes = 128;

// An open file. Closed with its owner; movable, not copyable.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  // Opens read-only and close-on-exec, below `folder` unless the path is absolute. Returns 0 or an errno.
  [[nodiscard]] int open(const char* path) noexcept;
  [[nodiscard]] int open_below(const Descriptor& folder, const char* path) noexcept;
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int release() noexcept;
  int number_ = -1;
};

// The one growing buffer of an addon instance. A view of it dies with the next read.
class TextBuffer {
 public:
  // Reads from the file's start until read(2) answers 0 (a short read is not the end). Returns 0 or an errno; EFBIG past `cap`.
  // `one_record`: the kernel prints the file as one record, of which a read hands out all there is room for; a short read
  // is the end then. `expected`: how long the text was the last time. No more room than that wants is offered to the first
  // read, because some files (/proc/sys) zero a buffer of the size asked for.
  [[nodiscard]] int read_whole(const Descriptor& file, size_t cap, bool one_record = false, size_t expected = 0) noexcept;
  // The names in a folder, each ended by NUL, in the kernel's order. Returns 0 or an errno; EFBIG past `cap`.
  [[nodiscard]] int read_names(const Descriptor& folder, size_t cap) noexcept;
  // One read of at most kAttributeBytes. Returns 0 or an errno.
  [[nodiscard]] int read_attribute(const Descriptor& file) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* bytes) const noexcept { std::free(bytes); }
  };
  [[nodiscard]] bool grow_to(size_t capacity) noexcept;

  // malloc'ed: growing must neither zero the new half nor throw.
  std::unique_ptr<char, Free> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

// Whether a new descriptor may be kept between scans. The kernel hands out the lowest free number, so the number itself
// tells how full the process's table is; the last quarter is left to sockets and to files opened in passing.
class KeepRule {
 public:
  // Reads RLIMIT_NOFILE, which node has raised to the hard limit before any addon loads.
  KeepRule() noexcept;
  [[nodiscard]] bool may_keep(const Descriptor& file) const noexcept { return file.number() < keep_below_; }

 private:
  int keep_below_;
};

}  // namespace readers
