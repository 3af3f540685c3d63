#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "check_text.hpp"
#include "readers/source.hpp"
#include "readers/source_set.hpp"
#include "unit.hpp"

namespace tests {
namespace {

using readers::KeepRule;
using readers::ScanState;
using readers::Source;
using readers::SourceSet;
using readers::TextBuffer;

// A file of its own, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    char path[] = "/tmp/readers-unit-XXXXXX";
    const int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK(::close(file) == 0);
    path_ = path;
    write(text);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }

  void write(std::string_view text) const {
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    CHECK(file != nullptr);
    CHECK(std::fwrite(text.data(), 1, text.size(), file) == text.size());
    CHECK(std::fclose(file) == 0);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

readers::Format whole_file(size_t cap = readers::kLargestText) {
  readers::Format format = make_format("");
  format.cap = cap;
  return format;
}

void test_one_source() {
  const KeepRule keep;
  TextBuffer buffer;
  std::array<double, 4> room{};
  const TemporaryFile file("a 1\n");
  const readers::Format format = whole_file();
  Source source(file.path());
  CHECK(source.scan(format, keep, buffer, room).state == ScanState::changed);
  CHECK(source.scan(format, keep, buffer, room).state == ScanState::same && room[0] == 1);
  file.write("a 2\n");
  CHECK(source.scan(format, keep, buffer, room).state == ScanState::same && room[0] == 2);

  // Too little room: nothing is remembered until there is enough.
  file.write("b 1 2 3 4 5\n");
  const auto more = source.scan(format, keep, buffer, room);
  CHECK(more.state == ScanState::need_more && more.count == 5);
  std::array<double, 5> larger{};
  CHECK(source.rescan(format, buffer.view(), larger).state == ScanState::changed && larger[4] == 5);
  CHECK(source.scan(format, keep, buffer, larger).state == ScanState::same);

  // A failure makes the next success a change.
  readers::Format tight = format;
  tight.cap = 3;
  const auto failed = source.scan(tight, keep, buffer, larger);
  CHECK(failed.state == ScanState::failed && failed.error == EFBIG);
  CHECK(source.scan(format, keep, buffer, larger).state == ScanState::changed);

  Source missing("/nonexistent/readers");
  CHECK(missing.scan(format, keep, buffer, room).error == ENOENT);
  Source folder("/tmp");
  CHECK(folder.scan(format, keep, buffer, room).error == EISDIR);
}

void test_sizes() {
  const KeepRule keep;
  TextBuffer buffer;
  // Around the buffer's first capacity and its doubling.
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65535}, size_t{65536}, size_t{65537}, size_t{200000}}) {
    const TemporaryFile file(std::string(size, 'x'));
    Source source(file.path());
    CHECK(source.read(whole_file(size), keep, buffer) == 0 && buffer.view().size() == size);
    if (size > 0) CHECK(source.read(whole_file(size - 1), keep, buffer) == EFBIG && buffer.view().empty());
    readers::Format attribute = whole_file();
    attribute.attribute = true;
    CHECK(source.read(attribute, keep, buffer) == 0);
    CHECK(buffer.view().size() == std::min(size, readers::kAttributeBytes));
  }
}

void test_set() {
  const KeepRule keep;
  TextBuffer buffer;
  const readers::Format format = whole_file();
  const TemporaryFile one("a 1 2\n");
  const TemporaryFile two("b 3\n");
  SourceSet set;
  CHECK(set.add(one.path()) == 0 && set.add("/nonexistent/readers") == 1 && set.add(two.path()) == 2);
  std::array<int32_t, 4> status{};
  std::array<uint32_t, 4> start{};
  std::array<uint32_t, 4> counts{};
  std::vector<double> numbers(1);
  readers::SetProgress progress;
  CHECK(!set.scan(format, keep, buffer, {numbers, status, start, counts}, progress));
  CHECK(progress.next_member == 0 && progress.used == 2);
  progress.used = 0;
  numbers.resize(2);
  CHECK(!set.scan(format, keep, buffer, {numbers, status, start, counts}, progress));
  CHECK(progress.next_member == 2 && progress.used == 3);
  progress.used = start[2];
  numbers.resize(3);
  CHECK(set.scan(format, keep, buffer, {numbers, status, start, counts}, progress));
  CHECK(status[0] == 1 && status[1] == -ENOENT && status[2] == 1);
  CHECK(start[2] == 2 && counts[2] == 1 && numbers[2] == 3 && counts[1] == 0);

  set.remove(0);
  set.remove(0);
  set.remove(99);
  progress = {};
  CHECK(set.scan(format, keep, buffer, {numbers, status, start, counts}, progress));
  CHECK(status[0] == readers::kUnusedMember && status[2] == 0 && numbers[start[2]] == 3);
  CHECK(set.add(two.path()) == 0 && set.member(0) != nullptr && set.member(7) == nullptr);
}

void test_keep_rule() {
  rlimit before{};
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit low{40, before.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
  const KeepRule keep;
  TextBuffer buffer;
  // Far more files than descriptors: the later ones are opened in passing, none fails.
  const TemporaryFile file("1\n");
  std::vector<Source> sources;
  for (int i = 0; i < 100; ++i) sources.emplace_back(file.path());
  for (auto& source : sources) CHECK(source.read(whole_file(), keep, buffer) == 0);
  const int free_number = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(free_number == 30);
  CHECK(close(free_number) == 0);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

}  // namespace

void test_sources() {
  test_one_source();
  test_sizes();
  test_set();
  test_keep_rule();
}

}  // namespace tests
