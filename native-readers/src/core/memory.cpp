#include "core/memory.hpp"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>

#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>

namespace readers {

namespace {

// V8's own, in every release that has Node-API. The second is a member function without arguments.
constexpr const char* kCurrentIsolate = "_ZN2v87Isolate10GetCurrentEv";
constexpr const char* kLowMemory = "_ZN2v87Isolate21LowMemoryNotificationEv";

template <typename Function>
Function find(const char* name) noexcept {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

struct Close {
  void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};

// The head line of a mapping in /proc/self/smaps.
struct Mapping {
  uintptr_t start = 0;
  uintptr_t end = 0;
  // r, w, x or -, and p for private.
  std::array<char, 5> rights{};
  // Device and inode of the mapped file; "00:00 0" for memory without one.
  std::array<char, 40> file{};
};

// False for the lines below a head, some of which begin with hexadecimal digits.
bool read_head(const char* line, Mapping& mapping) noexcept {
  Mapping read;
  std::array<char, 20> device{};
  std::array<char, 20> inode{};
  if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %19s %19s", &read.start, &read.end, read.rights.data(), device.data(),
                  inode.data()) != 5) {
    return false;
  }
  static_cast<void>(std::snprintf(read.file.data(), read.file.size(), "%s %s", device.data(), inode.data()));
  mapping = read;
  return true;
}

constexpr size_t kLongestLine = 4400;

template <typename Visit>
void each_mapping(const char* path, Visit visit) noexcept {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path, "re"));
  if (file == nullptr) return;
  std::array<char, kLongestLine> line{};
  Mapping mapping;
  while (std::fgets(line.data(), line.size(), file.get()) != nullptr) {
    static_cast<void>(read_head(line.data(), mapping));
    if (!visit(mapping, line.data())) return;
  }
}

// Only mappings of node's file without one page of their own: relocated tables and text that was moved to huge pages are
// memory of the process, and would come back as they are in the file.
void release_program() noexcept {
  const auto inside = reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, kCurrentIsolate));
  if (inside == 0) return;
  std::array<char, 40> program{};
  each_mapping("/proc/self/maps", [&](const Mapping& mapping, const char*) {
    if (inside < mapping.start || inside >= mapping.end) return true;
    program = mapping.file;
    return false;
  });
  if (program[0] == '\0' || std::strcmp(program.data(), "00:00 0") == 0) return;
  std::array<Mapping, 32> clean;
  size_t count = 0;
  each_mapping("/proc/self/smaps", [&](const Mapping& mapping, const char* line) {
    constexpr const char* kOwn = "Anonymous:";
    if (std::strncmp(line, kOwn, std::strlen(kOwn)) != 0 || mapping.file != program) return true;
    const bool is_clean = std::strtoul(line + std::strlen(kOwn), nullptr, 10) == 0;
    if (is_clean && mapping.rights[1] == '-' && mapping.rights[3] == 'p') clean[count++] = mapping;
    return count < clean.size();
  });
  for (size_t i = 0; i < count; i++) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel tells addresses as numbers.
    static_cast<void>(madvise(reinterpret_cast<void*>(clean[i].start), clean[i].end - clean[i].start, MADV_DONTNEED));
  }
}

}  // namespace

void collect_garbage() noexcept {
  const auto current = find<void* (*)()>(kCurrentIsolate);
  const auto low_memory = find<void (*)(void*)>(kLowMemory);
  if (current == nullptr || low_memory == nullptr) return;
  if (void* isolate = current(); isolate != nullptr) low_memory(isolate);
}

void trim_memory() noexcept {
  static_cast<void>(malloc_trim(0));
  release_program();
}

}  // namespace readers
