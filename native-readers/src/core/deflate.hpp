#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace readers {

// Raw deflate with the zlib that node itself is linked with: one stream kept for the life of the thread, where node:zlib
// makes a quarter of a megabyte of state, two stream objects and a few buffers for every call.
class Deflater {
 public:
  Deflater() noexcept;
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // False where the process exports no zlib: the caller compresses otherwise.
  [[nodiscard]] bool usable() const noexcept { return stream_ != nullptr; }

  // Compresses all of `input` at level 1 and ends with a full flush, so that the output is whole bytes and refers to
  // nothing before it. Returns the bytes written, or SIZE_MAX when `output` is too small.
  [[nodiscard]] size_t compress(std::span<const uint8_t> input, std::span<uint8_t> output) noexcept;

  // No output of `input_bytes` is larger than this.
  [[nodiscard]] static size_t bound(size_t input_bytes) noexcept { return input_bytes + input_bytes / 1000 + 64; }

 private:
  struct Stream;
  struct Forget {
    void operator()(Stream* stream) const noexcept;
  };
  std::unique_ptr<Stream, Forget> stream_;
};

}  // namespace readers
