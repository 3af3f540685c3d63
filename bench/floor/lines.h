#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lines of standard input, without their ends, as many as `used` says then. Ends the program when there is no memory. */
static char **read_lines(size_t *used) {
  static char line[4096];
  char **lines = NULL;
  size_t room = 0;
  for (*used = 0; fgets(line, sizeof line, stdin) != NULL; (*used)++) {
    line[strcspn(line, "\n")] = 0;
    if (*used == room) {
      room = room * 2 + 1024;
      lines = realloc(lines, room * sizeof *lines);
      if (lines == NULL) exit(1);
    }
    lines[*used] = strdup(line);
  }
  return lines;
}
