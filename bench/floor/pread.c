/* The least that one pass over a list of files can cost: a single pread each, nothing parsed, no look for the end. Three
 * quarters of RLIMIT_NOFILE are kept descriptors, files beyond are opened in each pass, as exporterd has it. Argument: seconds
 * between passes. Standard input: paths, one a line.
 * Prints "reading N files" when they are open, then a line "CPU WALL" for each pass, milliseconds. A path that cannot be
 * opened is an error. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 16];

static double milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  static char line[4096];
  int *files = NULL;
  char **names = NULL;
  size_t used = 0, room = 0;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  const size_t keep = limit.rlim_cur / 4 * 3;
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (used == room) {
      room = room * 2 + 1024;
      files = realloc(files, room * sizeof *files);
      names = realloc(names, room * sizeof *names);
      if (files == NULL || names == NULL) return 1;
    }
    names[used] = strdup(line);
    files[used] = open(line, O_RDONLY | O_CLOEXEC);
    if (files[used] < 0) {
      perror(line);
      return 1;
    }
    if (used >= keep) {
      close(files[used]);
      files[used] = -1;
    }
    used++;
  }
  printf("reading %zu files\n", used);
  for (;;) {
    const double cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID), wall = milliseconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < used; i++) {
      const int file = files[i] < 0 ? open(names[i], O_RDONLY | O_CLOEXEC) : files[i];
      if (pread(file, buffer, sizeof buffer, 0) < 0) continue; /* Pressure of a kernel without it. */
      if (files[i] < 0) close(file);
    }
    printf("%.3f %.3f\n", milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, milliseconds(CLOCK_MONOTONIC) - wall);
    fflush(stdout);
    const double seconds = atof(arguments[1]);
    struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&rest, NULL);
  }
}
