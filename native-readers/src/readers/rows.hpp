// A row of numbers for each cgroup: read from its files, finished by rules and put in the slots of a sheet, all of it in one
// call for as long as nothing but numbers changes. Rows of which anything else is to be said are left to JavaScript.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/file.hpp"
#include "readers/format.hpp"
#include "readers/source_set.hpp"

namespace readers {

// In a row: there is no such series. No kernel file holds it.
inline constexpr double kAbsent = -std::numeric_limits<double>::infinity();

// Slots that a series does not have yet; other negative ones are refused for good.
inline constexpr int32_t kUnknownSlot = -1;

// What is done with a row once its files are read, in order: ROW_RULES of src/readers/native.ts.
enum class RowRule : int32_t {
  // to = max(0, a - max(0, b)); absent where a is
  difference,
  // to = the sum of the b columns from a on, seconds each, summed as whole nanoseconds; absent when that is 0
  sum,
  // to is absent when it is 0
  absent_at_zero,
  // to is absent unless a is above 0
  absent_unless,
  // to = the number that this call brings
  brought,
};
inline constexpr size_t kRuleWords = 4;
inline constexpr size_t kMostRowFiles = 4096;

// Where the numbers of a text with one shape go.
struct RowPattern {
  struct Target {
    uint32_t at;
    uint32_t column;
    double over;
  };
  struct Word {
    uint32_t column;
    double value;
  };
  // As memberShape of the binding tells it.
  uint64_t shape = 0;
  uint32_t needs = 0;
  std::vector<Target> targets;
  // What words in the text stand for.
  std::vector<Word> words;
};

// One file of all cgroups, as a call brings it.
struct RowFile {
  struct Place {
    SourceSet* set = nullptr;
    const Format* format = nullptr;
  };
  std::array<Place, 2> places;
  // By cgroup: twice the member's number, plus the place of its set; negative for none.
  std::span<const int32_t> members;
  // By cgroup: the errno, negative, that says that it has no such file; 0 where it has.
  std::span<const int32_t> missing;
  // The column that takes how many numbers there are; such a file has no patterns. -1: none.
  int32_t counts = -1;
  // Its numbers tell whether the cgroup is at work; where there is no such file, it may be (`is_missed`).
  bool is_witness = false;
  bool is_missed = false;
  // By cgroup, milliseconds: when it was read last. Empty for a file that is read in every run.
  std::span<double> read_ms;
};

// When files that may rest are read all the same, milliseconds.
struct RowRest {
  double now;
  // What a witness tells of may show later: a reading counts when it was made so long after the witness moved last.
  double after;
  // How long a reading counts; for some cgroups down to half as long, so that not all are read at once.
  double trust;
};

// Memory of the caller, by cgroup; `columns` is how many numbers of a row have slots, the strides are how far rows lie apart.
struct RowMemory {
  std::span<double> rows;
  std::span<int32_t> slots;
  size_t stride = 0;
  size_t slot_stride = 0;
  size_t columns = 0;
  // What to do with each row.
  std::span<uint8_t> states;
  // By cgroup, milliseconds: when a witness moved last.
  std::span<double> moved_ms;
  RowRest rest{};
  double brought = 0;
  std::span<double> values;
  std::span<uint32_t> stamps;
  uint32_t run = 0;
  // Receives the rows that are JavaScript's.
  std::span<int32_t> left;
  // Nobody makes the rows that are left. So those whose series go are left as well, since the page shows those of the run that
  // was made last, and all that are left are made by whoever asks for rows next.
  bool is_replay = false;
};

enum RowState : uint8_t { kNoRow, kRowReady, kRowLeft };

class RowTable {
 public:
  explicit RowTable(std::vector<int32_t> rules) : rules_(std::move(rules)) {}

  void learn(size_t file, RowPattern pattern);
  // Returns how many rows it left, or -1 when the arrays do not fit each other.
  [[nodiscard]] int32_t fill(std::span<const RowFile> files, const RowMemory& memory, const KeepRule& keep, TextBuffer& buffer);

 private:
  [[nodiscard]] bool is_sound(std::span<const RowFile> files, const RowMemory& memory) const noexcept;
  [[nodiscard]] bool read(size_t file_number, const RowFile& file, size_t cgroup, std::span<double> row, const RowMemory& memory,
                          const KeepRule& keep, TextBuffer& buffer);
  void finish(std::span<double> row, double brought) const noexcept;
  [[nodiscard]] const RowPattern* pattern(size_t file, uint64_t shape) const noexcept;

  std::vector<int32_t> rules_;
  // By file.
  std::vector<std::vector<RowPattern>> patterns_;
  std::vector<double> numbers_ = std::vector<double>(256);
};

}  // namespace readers
