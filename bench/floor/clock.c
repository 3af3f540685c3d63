/* Keeps the wall clock in a file: `clock FILE OFFSET PERIOD_US` writes Unix milliseconds, 13 digits, at OFFSET of FILE.
 * The last eight digits lie on a multiple of eight (checked), so that they change in one store and a reader sees either the
 * old or the new number; the first five change once in 27 hours. On SIGTERM prints how late the writes were. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

int main(int count, char **arguments) {
  if (count != 4) {
    fputs("usage: clock FILE OFFSET PERIOD_US\n", stderr);
    return 2;
  }
  long offset = atol(arguments[2]), period = atol(arguments[3]) * 1000;
  int file = open(arguments[1], O_RDWR | O_CLOEXEC);
  struct stat size;
  if (file < 0 || fstat(file, &size) != 0) {
    perror(arguments[1]);
    return 1;
  }
  if (offset < 0 || offset + 13 > size.st_size || (offset + 5) % 8 != 0) {
    fputs("clock: OFFSET + 5 must be a multiple of eight inside the file\n", stderr);
    return 2;
  }
  char *map = mmap(NULL, (size_t)size.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map == MAP_FAILED) {
    perror("mmap");
    return 1;
  }
  /* The clock must not be what is late when the machine is busy. */
  struct sched_param priority = {.sched_priority = 10};
  int is_realtime = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  printf("clock runs, %s\n", is_realtime ? "real-time" : "ordinary priority");
  fflush(stdout);
  long writes = 0, late = 0, worst = 0;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (!stopped) {
    struct timespec wall, now;
    clock_gettime(CLOCK_REALTIME, &wall);
    char digits[24];
    snprintf(digits, sizeof digits, "%013lld", (long long)wall.tv_sec * 1000 + wall.tv_nsec / 1000000);
    uint64_t low;
    memcpy(&low, digits + 5, sizeof low);
    memcpy(map + offset, digits, 5);
    __atomic_store_n((uint64_t *)(void *)(map + offset + 5), low, __ATOMIC_SEQ_CST);
    next.tv_nsec += period;
    while (next.tv_nsec >= 1000000000) {
      next.tv_nsec -= 1000000000;
      next.tv_sec += 1;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR && !stopped) {
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    long lateness = (now.tv_sec - next.tv_sec) * 1000000 + (now.tv_nsec - next.tv_nsec) / 1000;
    writes++;
    if (lateness > 2000) late++;
    if (lateness > worst) worst = lateness;
  }
  printf("clock wrote %ld times, %ld more than 2 ms late, worst %ld us\n", writes, late, worst);
  return 0;
}
