/* The least that one pass over a list of files can cost: a single pread each, nothing parsed, no look for the end. Three
 * quarters of RLIMIT_NOFILE are kept descriptors, files beyond are opened in each pass, as exporterd has it. Argument: seconds
 * between passes. Standard input: paths, one a line.
 * Prints "reading N files" when they are open, then a line "CPU WALL" for each pass, milliseconds. A path that cannot be
 * opened is an error. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"

static char buffer[1 << 16];

static double milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  const size_t keep = limit.rlim_cur / 4 * 3;
  size_t used;
  char **names = read_lines(&used);
  int *files = calloc(used + 1, sizeof *files);
  if (files == NULL) return 1;
  for (size_t i = 0; i < used; i++) {
    files[i] = open(names[i], O_RDONLY | O_CLOEXEC);
    if (files[i] < 0) {
      perror(names[i]);
      return 1;
    }
    if (i >= keep) {
      close(files[i]);
      files[i] = -1;
    }
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
