#include "core/page_deflate.hpp"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "unit.hpp"

namespace tests {

// That the forms are right is checked where there is an inflate, in src/readers/page-deflater.test.ts; here, that no input and
// no size of the output makes it leave its memory.
void test_page_deflater() {
  std::mt19937 random(1);
  constexpr std::string_view kBytes = "aab{}=\"\", #\n\n  0123456789.e+\xc3\xbc";
  for (int round = 0; round < 300; ++round) {
    readers::PageDeflater deflater;
    std::string page;
    const size_t size = random() % (round % 10 == 0 ? 40'000 : 400);
    while (page.size() < size) {
      if (random() % 3 == 0 && !page.empty()) {
        const size_t from = random() % page.size();
        page += page.substr(from, random() % 300);
      } else {
        page += kBytes[random() % kBytes.size()];
      }
    }
    for (int step = 0; step < 4; ++step) {
      const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(page.data()), page.size());
      for (const size_t room : {readers::PageDeflater::bound(page.size()), page.size() / 2, size_t{random() % 64}}) {
        const auto output = std::make_unique<uint8_t[]>(room);
        const auto result = deflater.gzip(bytes, {}, {output.get(), room});
        CHECK(!result || result->bytes <= room);
      }
      // Numbers of other lengths, at times bytes that no number had.
      for (char& byte : page) {
        if (byte >= '0' && byte <= '9' && random() % 4 == 0) byte = static_cast<char>('0' + random() % 10);
      }
    }
  }
  // Lines that come and go, more of them than are added to what was learnt.
  for (int round = 0; round < 60; ++round) {
    readers::PageDeflater deflater;
    std::vector<std::string> lines;
    for (int i = 0; i < 60; ++i) lines.push_back("family{device=\"" + std::to_string(random() % 1000) + "\"} 1\n");
    for (int step = 0; step < 60; ++step) {
      std::string page;
      for (const std::string& line : lines) page += line;
      const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(page.data()), page.size());
      const size_t room = step % 9 == 8 ? random() % page.size() : readers::PageDeflater::bound(page.size());
      const auto output = std::make_unique<uint8_t[]>(room);
      const std::span<uint8_t> target(output.get(), room);
      const auto result = step % 3 == 2 ? deflater.gzip_known(bytes, {}, target) : deflater.gzip(bytes, {}, target);
      CHECK(!result || result->bytes <= room);
      if (step == 0) continue;
      lines.erase(lines.begin() + static_cast<ptrdiff_t>(random() % lines.size()));
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(random() % lines.size()), "family{device=\"" + std::to_string(random() % 1000) + "\"} 1\n");
    }
  }
}

}  // namespace tests
