/* Uses a little CPU time in many cgroups: enters one after the other and yields there, since the kernel charges what a task
 * has run when it is scheduled. Argument: seconds between rounds. Standard input: paths of cgroup.procs, one a line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
  if (count != 2) return 2;
  static char line[4096];
  char **names = NULL;
  size_t used = 0;
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    names = realloc(names, (used + 1) * sizeof *names);
    if (names == NULL) return 1;
    names[used++] = strdup(line);
  }
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
