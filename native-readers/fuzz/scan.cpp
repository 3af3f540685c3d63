// libFuzzer target: the first byte chooses the format, the rest is the text.
#include "check_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size == 0) return 0;
  const auto& formats = tests::formats();
  tests::check_text({reinterpret_cast<const char*>(data) + 1, size - 1}, formats[data[0] % formats.size()]);
  return 0;
}
