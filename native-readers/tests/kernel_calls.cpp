// Calls to the kernel that no file stands for: what they answer here, and that they keep to the room they are given.
#include <linux/ethtool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.hpp"
#include "readers/device_call.hpp"
#include "readers/perf_events.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using namespace readers;

std::vector<uint8_t> command(uint32_t number, size_t bytes) {
  std::vector<uint8_t> out(bytes);
  std::memcpy(out.data(), &number, sizeof number);
  return out;
}

void test_ethtool() {
  EthtoolCalls calls;
  std::vector<uint8_t> link = command(ETHTOOL_GLINK, sizeof(ethtool_value));
  // Every network namespace has a lo, and every device a link.
  CHECK(calls.exchange("lo", link) == 0);
  ethtool_value value{};
  std::memcpy(&value, link.data(), sizeof value);
  CHECK(value.cmd == ETHTOOL_GLINK && value.data <= 1);

  CHECK(calls.exchange("no such", link) == ENODEV);
  CHECK(calls.exchange("", link) == ENODEV);
  CHECK(calls.exchange(std::string(15, 'x'), link) == ENODEV);
  CHECK(calls.exchange(std::string(16, 'x'), link) == ENODEV);
  CHECK(calls.exchange(std::string(100'000, 'x'), link) == ENODEV);
  std::vector<uint8_t> unknown = command(0xffff, 4);
  CHECK(calls.exchange("lo", unknown) == EOPNOTSUPP);
  std::vector<uint8_t> none;
  CHECK(calls.exchange("lo", none) == EINVAL);
  std::vector<uint8_t> three(3);
  CHECK(calls.exchange("lo", three) == EINVAL);
  std::vector<uint8_t> large = command(ETHTOOL_GLINK, EthtoolCalls::kRoom);
  CHECK(calls.exchange("lo", large) == 0);
  large.push_back(0);
  CHECK(calls.exchange("lo", large) == EFBIG);

  // The driver's answer is longer than what there is room for: the rest is dropped. The vector's end is watched by the sanitizer.
  std::vector<uint8_t> cut = command(ETHTOOL_GDRVINFO, 8);
  const int error = calls.exchange("lo", cut);
  CHECK(error == 0 || error == EOPNOTSUPP);
  calls.close();
  calls.close();
  CHECK(calls.exchange("lo", link) == 0);
}

void test_folder() {
  std::array<uint8_t, 64> room{};
  CHECK(ask_folder("/", kReads, 0x94, 31, room) == ENOTTY || ask_folder("/", kReads, 0x94, 31, room) == EINVAL);
  CHECK(ask_folder("/nonexistent/folder", kReads, 0x94, 31, room) == ENOENT);
  CHECK(ask_folder("/proc/self/status", kReads, 0x94, 31, room) == ENOTDIR);
  CHECK(ask_folder("", kReads, 0x94, 31, room) == ENOENT);
  CHECK(ask_folder("/", 4, 0x94, 31, room) == EINVAL);
  CHECK(ask_folder("/", kReads, 256, 31, room) == EINVAL);
  CHECK(ask_folder("/", kReads, 0x94, 256, room) == EINVAL);
  CHECK(ask_folder("/", kReads, 0x94, 31, {}) == EFBIG);
  std::vector<uint8_t> large(1 << 20);
  CHECK(ask_folder("/", kReads, 0x94, 31, large) == EFBIG);
  const int before = dup(0);
  CHECK(before >= 0);
  close(before);
  for (int i = 0; i < 100; ++i) CHECK(ask_folder("/", kReads | kWrites, 0x94, 31, room) != 0);
  const int after = dup(0);
  close(after);
  CHECK(after == before);
}

void test_perf() {
  constexpr uint32_t kSoftware = 1;
  constexpr uint64_t kContextSwitches = 3;
  PerfEvents events;
  const KeepRule keep;
  CHECK(events.add(kSoftware, kContextSwitches, -1, keep) == -EINVAL);
  CHECK(events.add(0x7fffffff, 0, 0, keep) < 0);
  CHECK(events.add(kSoftware, 1000, 0, keep) < 0);
  CHECK(events.add(kSoftware, kContextSwitches, 1 << 20, keep) < 0);
  CHECK(events.size() == 0);
  std::array<double, 2> values{-1, -1};
  events.read(values);
  CHECK(values[0] == -1);
  // Forbidden to users by perf_event_paranoid, and to containers by seccomp.
  const int position = events.add(kSoftware, kContextSwitches, 0, keep);
  CHECK(position == 0 || position == -EACCES || position == -EPERM || position == -ENOSYS || position == -ENOENT);
  if (position == 0) {
    events.read(values);
    CHECK(values[0] >= 0 && values[1] == -1);
    events.read(std::span<double>{});
  }
  events.close();
  events.close();
  CHECK(events.size() == 0);
}

}  // namespace

void test_kernel_calls() {
  test_ethtool();
  test_folder();
  test_perf();
}

}  // namespace tests
