#include <string_view>

#include "check_text.hpp"
#include "unit.hpp"

namespace tests {
namespace {

bool same_shape(std::string_view a, std::string_view b, const readers::Format& format) {
  const readers::Scan left = readers::scan_text(a, format, {});
  const readers::Scan right = readers::scan_text(b, format, {});
  return left.shape == right.shape && left.count == right.count;
}

}  // namespace

void test_shapes() {
  const readers::Format plain = make_format("");
  // Numbers may move, change sign, grow a fraction and be padded.
  CHECK(same_shape("cpu 1 2\n", "cpu 3 99999\n", plain));
  CHECK(same_shape("a 1\n", "a -1.50\n", plain));
  CHECK(same_shape("a 1 b\n", "  a\t  1  b \t\n", plain));
  CHECK(same_shape("a  1\n", "a 1234567890123456789\n", plain));
  // Text, lines, gaps and the number of numbers may not.
  CHECK(!same_shape("a 1\n", "b 1\n", plain));
  CHECK(!same_shape("a 1\n", "a 1", plain));
  CHECK(!same_shape("a 1\n", "a 1\n\n", plain));
  CHECK(!same_shape("a 1\n", "a 1 1\n", plain));
  CHECK(!same_shape("a 1\n", "1 a\n", plain));
  CHECK(!same_shape("a 1\n", "a x\n", plain));
  CHECK(!same_shape("ab c\n", "a bc\n", plain));
  CHECK(!same_shape("a b\n", "ab\n", plain));
  CHECK(!same_shape("a\nb", "a b", plain));
  CHECK(!same_shape("a 18446744073709551615", "a 18446744073709551616", plain));
  CHECK(!same_shape("", "\n", plain));
  CHECK(same_shape("", "  ", plain));

  const readers::Format pairs = make_format("=:");
  CHECK(same_shape("x=1", "x=2", pairs));
  CHECK(!same_shape("x=1", "x:1", pairs));
  CHECK(!same_shape("x=1", "x =1", pairs));
  CHECK(!same_shape("x=1", "x==1", pairs));
  CHECK(!same_shape("x=1", "x 1", pairs));

  const readers::Format keyed = make_format("", 1);
  CHECK(!same_shape("5 1\n", "6 1\n", keyed));
  CHECK(same_shape("5 1\n6 2\n", "5 3\n6 4\n", keyed));

  const readers::Format text = make_format("", 0, false, true);
  CHECK(!same_shape("a 1\n", "a 2\n", text));
  CHECK(!same_shape("a 1\n", "a  1\n", text));
  CHECK(same_shape("a 1\n", "a 1\n", text));

  // More events in a row than the hash gathers at once, all but the last the same.
  std::string many;
  for (int i = 0; i < 200; ++i) {
    many += "7 ";
    CHECK(same_shape(many + "1", many + "22", plain));
    CHECK(!same_shape(many + "1", many + "a", plain));
    CHECK(!same_shape(many + "1", many + "\n1", plain));
    CHECK(!same_shape(many, many + "1", plain));
  }
  // Words of every length around the step of eight differ by each of their bytes.
  for (size_t length = 1; length < 40; ++length) {
    const std::string word(length, 'x');
    for (size_t at = 0; at < length; ++at) {
      std::string other = word;
      other[at] = 'y';
      CHECK(!same_shape(word, other, plain));
    }
    CHECK(!same_shape(word, word + "x", plain));
    CHECK(!same_shape(word, word + std::string(1, '\0'), plain));
  }
}

}  // namespace tests
