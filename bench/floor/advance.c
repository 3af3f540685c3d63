/* Has the first number of many files rise by 100 again and again, in place and through shared memory: of a write inotify would
 * tell, which a kernel that counts does not. Argument: seconds between rounds. Standard input: paths, one a line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lines.h"

static char *first_number(const char *path) {
  const int file = open(path, O_RDWR | O_CLOEXEC);
  char *text = file < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file < 0 || text == MAP_FAILED) {
    perror(path);
    exit(1);
  }
  close(file);
  return text + strcspn(text, "0123456789");
}

/* Adds 100; where there is no digit left to carry to the number starts again. */
static void advance(char *number) {
  const size_t digits = strspn(number, "0123456789");
  for (size_t i = digits < 3 ? 0 : digits - 2; i-- > 0;) {
    if (number[i] != '9') {
      number[i]++;
      return;
    }
    number[i] = '0';
  }
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  size_t used;
  char **numbers = read_lines(&used);
  for (size_t i = 0; i < used; i++) numbers[i] = first_number(numbers[i]);
  for (;;) {
    for (size_t i = 0; i < used; i++) advance(numbers[i]);
    usleep((useconds_t)(atof(arguments[1]) * 1e6));
  }
}
