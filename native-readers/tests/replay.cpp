// Runs the checks of the fuzz target over files: each whole, each of its prefixes, and mutated copies, in every format.
// Usage: replay <mutations per file> <file>...
#include <cstdint>
#include <string>

#include "check_text.hpp"

namespace {

// SplitMix64: the same mutations in every run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  size_t below(size_t limit) {
    state_ += 0x9e3779b97f4a7c15U;
    uint64_t value = state_;
    value = (value ^ value >> 30U) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27U) * 0x94d049bb133111ebU;
    return (value ^ value >> 31U) % limit;
  }

 private:
  uint64_t state_;
};

bool read_file(const char* path, std::string& text) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return false;
  char part[4096];
  for (size_t got = 0; (got = std::fread(part, 1, sizeof part, file)) > 0;) text.append(part, got);
  return std::fclose(file) == 0;
}

// One to four bytes set, put in or taken out. Half of the new bytes are ones the scanner treats specially.
std::string mutate(std::string text, Random& random) {
  constexpr std::string_view kSpecial = " \t\n0123456789-.xX:=/,eE\r\0\xff";
  for (size_t left = 1 + random.below(4); left > 0; --left) {
    const char byte =
        random.below(2) == 0 ? kSpecial[random.below(kSpecial.size())] : static_cast<char>(random.below(256));
    const size_t at = random.below(text.size() + 1);
    switch (random.below(3)) {
      case 0:
        text.insert(at, 1, byte);
        break;
      case 1:
        if (at < text.size()) text.erase(at, 1);
        break;
      default:
        if (at < text.size()) text[at] = byte;
    }
  }
  return text;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 2;
  const size_t mutations = std::strtoul(arguments[1], nullptr, 10);
  // Prefixes of long files are taken in steps, so that the run stays short; every length near the ends is tried.
  constexpr size_t kEveryLength = 600;
  size_t texts = 0;
  const auto run = [&](std::string_view text) {
    for (const auto& format : tests::formats()) tests::check_text(text, format);
    ++texts;
  };
  for (int i = 2; i < count; ++i) {
    std::string text;
    if (!read_file(arguments[i], text)) {
      std::fprintf(stderr, "%s: cannot be read\n", arguments[i]);
      return 1;
    }
    const std::string_view whole = text;
    for (size_t length = 0; length <= whole.size(); ++length) {
      if (length < kEveryLength || whole.size() - length < 32 || length % 37 == 0) run(whole.substr(0, length));
    }
    Random random(static_cast<uint64_t>(i));
    for (size_t mutation = 0; mutation < mutations; ++mutation) run(mutate(text, random));
  }
  std::printf("replay: %d files, %zu texts in %zu formats, %zu checks\n", count - 2, texts, tests::formats().size(),
              tests::checks().load());
  return 0;
}
