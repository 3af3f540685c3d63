#include "core/deflate.hpp"

#include <dlfcn.h>

#include <limits>
#include <new>

namespace readers {

// z_stream of zlib.h, whose layout has been the same since 1996; the header is not among node-api-headers.
struct Deflater::Stream {
  const uint8_t* next_in;
  unsigned avail_in;
  unsigned long total_in;
  uint8_t* next_out;
  unsigned avail_out;
  unsigned long total_out;
  const char* message;
  void* state;
  void* (*allocate)(void*, unsigned, unsigned);
  void (*release)(void*, void*);
  void* opaque;
  int data_type;
  unsigned long adler;
  unsigned long reserved;
};

namespace {

constexpr int kOk = 0;
constexpr int kFullFlush = 3;
constexpr int kDeflated = 8;
constexpr int kRawWindowBits = -15;
constexpr int kMemoryLevel = 8;
constexpr int kFastest = 1;

// Only the first character counts: deflateInit2_ compares major versions.
constexpr const char* kVersion = "1";

struct Zlib {
  int (*init)(void*, int, int, int, int, int, const char*, int);
  int (*deflate)(void*, int);
  int (*reset)(void*);
  int (*end)(void*);
};

template <typename Function>
void find(Function& function, const char* name) noexcept {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

const Zlib& zlib() noexcept {
  static const Zlib found = [] {
    Zlib functions{};
    find(functions.init, "deflateInit2_");
    find(functions.deflate, "deflate");
    find(functions.reset, "deflateReset");
    find(functions.end, "deflateEnd");
    return functions;
  }();
  return found;
}

}  // namespace

void Deflater::Forget::operator()(Stream* stream) const noexcept {
  static_cast<void>(zlib().end(stream));
  delete stream;
}

Deflater::Deflater() noexcept {
  const Zlib& functions = zlib();
  if (!functions.init || !functions.deflate || !functions.reset || !functions.end) return;
  auto* stream = new (std::nothrow) Stream{};
  if (stream == nullptr) return;
  if (functions.init(stream, kFastest, kDeflated, kRawWindowBits, kMemoryLevel, 0, kVersion, sizeof(Stream)) != kOk) {
    delete stream;
    return;
  }
  stream_.reset(stream);
}

Deflater::~Deflater() = default;

size_t Deflater::compress(std::span<const uint8_t> input, std::span<uint8_t> output) noexcept {
  constexpr size_t kTooSmall = std::numeric_limits<size_t>::max();
  constexpr size_t kLargest = std::numeric_limits<unsigned>::max();
  Stream* stream = stream_.get();
  if (stream == nullptr || input.size() > kLargest || output.size() > kLargest) return kTooSmall;
  if (zlib().reset(stream) != kOk) return kTooSmall;
  stream->next_in = input.data();
  stream->avail_in = static_cast<unsigned>(input.size());
  stream->next_out = output.data();
  stream->avail_out = static_cast<unsigned>(output.size());
  const int result = zlib().deflate(stream, kFullFlush);
  // With no room left there may be more to come.
  if (result != kOk || stream->avail_in != 0 || stream->avail_out == 0) return kTooSmall;
  return output.size() - stream->avail_out;
}

}  // namespace readers
