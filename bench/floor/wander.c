/* Uses a little CPU time in many cgroups: enters one after the other and yields there, since the kernel charges what a task
 * has run when it is scheduled. Argument: seconds between rounds. Standard input: paths of cgroup.procs, one a line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lines.h"

int main(int count, char **arguments) {
  if (count != 2) return 2;
  size_t used;
  char **names = read_lines(&used);
  for (;;) {
    for (size_t i = 0; i < used; i++) {
      const int file = open(names[i], O_WRONLY | O_CLOEXEC);
      if (file < 0 || write(file, "0", 1) != 1) {
        perror(names[i]);
        return 1;
      }
      close(file);
      sched_yield();
    }
    usleep((useconds_t)(atof(arguments[1]) * 1e6));
  }
}
