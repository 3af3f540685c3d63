// The parts of the unit test program.
#pragma once

namespace tests {

void test_numbers();
void test_go_numbers();
void test_shapes();
void test_sources();
void test_pages();
void test_page_deflater();
void test_view_builds();
void test_mounts();
void test_kernel_calls();
void test_rows();
void test_watches();
void test_tasks();

}  // namespace tests
