#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#include "readers/page.hpp"
#include "unit.hpp"

namespace tests {

void test_pages() {
  using readers::encode_page;
  using readers::PageState;
  constexpr std::string_view kBlob = "# A\na 1st aa # B\nb # C\nc ";
  // Two families with series, one whose only series sat this run out.
  const std::vector<uint32_t> ops = {4, 2, 6, 0, 3, 1, 4, 1, 2, 2, 4, 1, 2, 3};
  const std::array<double, 4> values = {1, 2.5, 3, 1e6};
  const std::array<uint32_t, 4> stamps = {9, 9, 8, 9};
  const std::string_view expected = "# A\na 1st 1\naa 2.5\n# C\nc 1e+06\n";
  readers::PageInput input{
      {reinterpret_cast<const uint8_t*>(kBlob.data()), kBlob.size()}, ops, 3, values, stamps, 9};

  // Every page size, on a block of exactly that size.
  for (size_t size = 0; size <= 64; ++size) {
    const auto page = std::make_unique<uint8_t[]>(size);
    std::array<uint32_t, 12> index{};
    index.fill(7);
    const auto result = encode_page(input, {page.get(), size}, index);
    if (size >= expected.size()) {
      CHECK(result.state == PageState::ok && result.bytes == expected.size());
      CHECK(std::memcmp(page.get(), expected.data(), expected.size()) == 0);
      CHECK((index == std::array<uint32_t, 12>{0, 4, 15, 2, 0, 0, 0, 0, 19, 4, 8, 1}));
      continue;
    }
    CHECK(result.state == PageState::need_more && result.bytes == expected.size());
    const bool first_fits = size >= 19;
    CHECK(index[3] == (first_fits ? 2U : 0U) && index[11] == 0);
    if (first_fits) CHECK(std::memcmp(page.get(), expected.data(), 19) == 0);
  }

  // Plans that point outside: cut at every word, a blob too short, a slot too high, an index too small.
  std::array<uint8_t, 128> page{};
  std::array<uint32_t, 12> index{};
  for (size_t words = 0; words < ops.size(); ++words) {
    readers::PageInput bad = input;
    bad.ops = std::span(ops).first(words);
    CHECK(encode_page(bad, page, index).state == PageState::malformed);
  }
  for (size_t bytes = 0; bytes < kBlob.size(); ++bytes) {
    readers::PageInput bad = input;
    bad.blob = input.blob.first(bytes);
    CHECK(encode_page(bad, page, index).state == PageState::malformed);
  }
  readers::PageInput bad = input;
  bad.values = std::span(values).first(3);
  CHECK(encode_page(bad, page, index).state == PageState::malformed);
  CHECK(encode_page(input, page, std::span(index).first(11)).state == PageState::malformed);
  const std::vector<uint32_t> huge = {0xffffffffU, 0xffffffffU};
  bad = input;
  bad.ops = huge;
  CHECK(encode_page(bad, page, index).state == PageState::malformed);
}

}  // namespace tests
