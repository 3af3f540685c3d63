#include "unit.hpp"

#include <unistd.h>

#include "check.hpp"

int main() {
  // A call that never comes back must fail the run, not hang it.
  alarm(300);
  tests::test_numbers();
  tests::test_go_numbers();
  tests::test_shapes();
  tests::test_sources();
  tests::test_pages();
  tests::test_page_deflater();
  tests::test_view_builds();
  // Before there are threads that never end: one of these forks.
  tests::test_watches();
  tests::test_tasks();
  tests::test_mounts();
  tests::test_kernel_calls();
  tests::test_rows();
  std::printf("unit: %zu checks\n", tests::checks().load());
  return 0;
}
