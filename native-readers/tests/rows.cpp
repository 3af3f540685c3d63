#include "readers/rows.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "check_text.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using readers::kAbsent;
using readers::kRowLeft;
using readers::kRowReady;
using readers::kUnknownSlot;
using readers::RowFile;
using readers::RowMemory;
using readers::RowRule;
using readers::RowTable;

constexpr size_t kCgroups = 2;
constexpr size_t kStride = 3;

void write_file(const std::string& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  CHECK(file != nullptr);
  CHECK(std::fwrite(text.data(), 1, text.size(), file) == text.size());
  CHECK(std::fclose(file) == 0);
}

// Two cgroups with a file of one number each, in a folder of their own.
class Cgroups {
 public:
  Cgroups() : format_(make_format("")) {
    char folder[] = "/tmp/readers-rows-XXXXXX";
    CHECK(mkdtemp(folder) != nullptr);
    folder_ = folder;
    format_.cap = readers::kLargestText;
    for (size_t i = 0; i < kCgroups; ++i) {
      write(i, "5\n");
      members_[i] = static_cast<int32_t>(set_.add(path(i)) * 2);
    }
  }
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;
  ~Cgroups() {
    for (size_t i = 0; i < kCgroups; ++i) unlink(path(i).c_str());
    rmdir(folder_.c_str());
  }

  void write(size_t cgroup, std::string_view text) const { write_file(path(cgroup), text); }
  [[nodiscard]] std::string path(size_t cgroup) const { return folder_ + "/" + std::to_string(cgroup); }
  readers::Source& source(size_t cgroup) { return *set_.member(static_cast<uint32_t>(members_[cgroup]) / 2); }
  // Scanned once, as JavaScript does before it hands a row over.
  void settle(size_t cgroup) { static_cast<void>(source(cgroup).scan(format_, keep, buffer, numbers_)); }
  RowFile file() {
    RowFile file;
    file.places = {RowFile::Place{&set_, &format_}, RowFile::Place{&set_, &format_}};
    file.members = members_;
    file.missing = missing;
    return file;
  }

  const readers::KeepRule keep;
  readers::TextBuffer buffer;
  std::array<int32_t, kCgroups> missing{};

 private:
  readers::Format format_;
  readers::SourceSet set_;
  std::array<int32_t, kCgroups> members_{};
  std::array<double, 16> numbers_{};
  std::string folder_;
};

struct Arrays {
  std::vector<double> rows = std::vector<double>(kCgroups * kStride);
  std::vector<int32_t> slots = {0, 1, 2, 3, 4, 5};
  std::vector<uint8_t> states = {kRowReady, kRowReady};
  std::vector<double> moved = std::vector<double>(kCgroups);
  std::vector<double> values = std::vector<double>(kCgroups * kStride);
  std::vector<uint32_t> stamps = std::vector<uint32_t>(kCgroups * kStride);
  std::vector<int32_t> left = std::vector<int32_t>(kCgroups);

  RowMemory memory(uint32_t run, double now = 0) {
    RowMemory memory;
    memory.rows = rows;
    memory.slots = slots;
    memory.stride = kStride;
    memory.slot_stride = kStride;
    memory.columns = kStride;
    memory.states = states;
    memory.moved_ms = moved;
    memory.rest = {now, 10, 100};
    memory.brought = 7;
    memory.values = values;
    memory.stamps = stamps;
    memory.run = run;
    memory.left = left;
    return memory;
  }
};

// Column 0 is the number over 2, column 1 is brought, column 2 what 1 has more than 0.
RowTable make_table(Cgroups& cgroups) {
  RowTable table({static_cast<int32_t>(RowRule::brought), 1, 0, 0, static_cast<int32_t>(RowRule::difference), 2, 1, 0,
                  static_cast<int32_t>(RowRule::absent_at_zero), 0, 0, 0});
  for (size_t i = 0; i < kCgroups; ++i) cgroups.settle(i);
  table.learn(0, {readers::shape_number(cgroups.source(0).shape()), 1, {{0, 0, 2}}, {}});
  return table;
}

void test_filled() {
  Cgroups cgroups;
  Arrays arrays;
  RowTable table = make_table(cgroups);
  std::array files{cgroups.file()};
  const auto fill = [&](uint32_t run) { return table.fill(files, arrays.memory(run), cgroups.keep, cgroups.buffer); };
  CHECK(fill(1) == 0);
  CHECK(arrays.values == (std::vector<double>{2.5, 7, 4.5, 2.5, 7, 4.5}));
  CHECK(arrays.stamps == std::vector<uint32_t>(6, 1));

  // Left out by a rule; what comes back needs a series anew.
  cgroups.write(1, "0\n");
  CHECK(fill(2) == 0);
  CHECK(arrays.stamps[3] == 1 && arrays.slots[3] == kUnknownSlot && arrays.stamps[4] == 2);
  cgroups.write(1, "6\n");
  CHECK(fill(3) == 1 && arrays.left[0] == 1);
  arrays.slots[3] = -2;
  CHECK(fill(4) == 0);

  // Another text, even one that is known; then no file, at first unexpectedly.
  cgroups.write(0, "5 5\n");
  CHECK(fill(5) == 1 && arrays.left[0] == 0);
  cgroups.write(0, "5\n");
  CHECK(fill(6) == 1);
  CHECK(fill(7) == 0);
  cgroups.source(0).close();
  unlink(cgroups.path(0).c_str());
  CHECK(fill(8) == 1);
  cgroups.missing[0] = -ENOENT;
  CHECK(fill(9) == 0);
  cgroups.write(0, "5\n");
  CHECK(fill(10) == 1);
  arrays.states[0] = kRowLeft;
  cgroups.missing[0] = 0;
  CHECK(fill(11) == 1);
}

void test_rests() {
  Cgroups cgroups;
  Arrays arrays;
  RowTable table = make_table(cgroups);
  std::array<double, kCgroups> read{};
  std::array files{cgroups.file()};
  files[0].read_ms = read;
  arrays.moved = {0, 45};
  arrays.rows[0] = 1;
  read = {50, 50};
  for (size_t i = 0; i < kCgroups; ++i) cgroups.write(i, "9\n");
  const auto fill = [&](double now) { return table.fill(files, arrays.memory(1, now), cgroups.keep, cgroups.buffer); };
  CHECK(fill(60) == 0);
  CHECK(arrays.rows[0] == 1 && read[0] == 50);
  CHECK(arrays.rows[kStride] == 4.5 && read[1] == 60);
  CHECK(fill(160) == 0);
  CHECK(arrays.rows[0] == 4.5 && read[0] == 160);
  // A witness tells of itself.
  files[0].read_ms = {};
  files[0].is_witness = true;
  CHECK(fill(170) == 0 && arrays.moved[0] == 0);
  cgroups.write(0, "8\n");
  CHECK(fill(180) == 0 && arrays.moved[0] == 180 && arrays.moved[1] == 45);
}

// What nobody makes is left with its state, so that it is made anew later.
void test_replayed() {
  Cgroups cgroups;
  Arrays arrays;
  RowTable table = make_table(cgroups);
  std::array files{cgroups.file()};
  const auto fill = [&] {
    RowMemory memory = arrays.memory(1);
    memory.is_replay = true;
    return table.fill(files, memory, cgroups.keep, cgroups.buffer);
  };
  CHECK(fill() == 0);
  cgroups.write(1, "6\n");
  CHECK(fill() == 0 && arrays.values[3] == 3);
  // The series of the last run that was made would go on.
  cgroups.write(1, "0\n");
  CHECK(fill() == 1 && arrays.left[0] == 1 && arrays.states == (std::vector<uint8_t>{kRowReady, kRowLeft}));
  CHECK(fill() == 1);
  // One that has been away stays away.
  arrays.states[1] = kRowReady;
  CHECK(fill() == 0);
}

void test_unsound() {
  Cgroups cgroups;
  Arrays arrays;
  RowTable table = make_table(cgroups);
  std::array files{cgroups.file()};
  const auto refused = [&](auto spoil) {
    RowMemory memory = arrays.memory(1);
    RowFile file = files[0];
    spoil(memory, file);
    return table.fill(std::span(&file, 1), memory, cgroups.keep, cgroups.buffer) == -1;
  };
  CHECK(refused([](RowMemory& memory, RowFile&) { memory.rows = memory.rows.first(5); }));
  CHECK(refused([](RowMemory& memory, RowFile&) { memory.slots = memory.slots.first(5); }));
  CHECK(refused([](RowMemory& memory, RowFile&) { memory.stride = 2; }));
  CHECK(refused([](RowMemory& memory, RowFile&) { memory.stamps = memory.stamps.first(1); }));
  CHECK(refused([](RowMemory& memory, RowFile&) { memory.left = memory.left.first(1); }));
  CHECK(refused([](RowMemory& memory, RowFile&) { memory.moved_ms = memory.moved_ms.first(1); }));
  CHECK(refused([](RowMemory&, RowFile& file) { file.members = file.members.first(1); }));
  CHECK(refused([](RowMemory&, RowFile& file) { file.missing = file.missing.first(1); }));
  CHECK(refused([](RowMemory&, RowFile& file) { file.counts = 3; }));
  CHECK(!refused([](RowMemory&, RowFile&) {}));
  // A slot outside the sheet is left.
  arrays.slots[0] = 6;
  CHECK(table.fill(files, arrays.memory(2), cgroups.keep, cgroups.buffer) == 1);
  table.learn(0, {1, 1, {{0, 3, 1}}, {}});
  CHECK(table.fill(files, arrays.memory(3), cgroups.keep, cgroups.buffer) == -1);
}

}  // namespace

void test_rows() {
  test_filled();
  test_rests();
  test_replayed();
  test_unsound();
}

}  // namespace tests
