/* Sees how long each processor was held up: a thread on each, above all ordinary ones, sleeps to the next millisecond, and what
 * it wakes too late by is added up. A host that gives the processor of a virtual machine to others, or stops the machine for
 * the rest of a period because it has used its share, does so for some milliseconds at a time; `steal` of /proc/stat counts in
 * ticks of 10 ms and does not know the latter. Argument: a file of eight bytes for each processor, which the nanoseconds so far
 * are kept in. Prints "watching" when it begins. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_NS = 1000000, LATE_NS = 150000, SECOND_NS = 1000000000 };

static uint64_t *totals;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

static void *watch(void *argument) {
  uint64_t *total = argument;
  for (int64_t next = now();;) {
    next += PERIOD_NS;
    const struct timespec until = {.tv_sec = next / SECOND_NS, .tv_nsec = next % SECOND_NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    const int64_t late = now() - next;
    if (late < LATE_NS) continue;
    __atomic_store_n(total, *total + (uint64_t)late, __ATOMIC_RELAXED);
    next += late;
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 2) {
    fputs("usage: stalls FILE\n", stderr);
    return 2;
  }
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  const size_t size = (size_t)processors * sizeof *totals;
  const int file = open(arguments[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, (off_t)size) != 0 || (totals = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)) == MAP_FAILED) {
    perror(arguments[1]);
    return 1;
  }
  const struct sched_param priority = {.sched_priority = 10};
  for (long processor = 0; processor < processors; processor++) {
    pthread_attr_t attributes;
    pthread_t thread;
    cpu_set_t where;
    CPU_ZERO(&where);
    CPU_SET(processor, &where);
    pthread_attr_init(&attributes);
    pthread_attr_setaffinity_np(&attributes, sizeof where, &where);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &priority);
    if ((errno = pthread_create(&thread, &attributes, watch, &totals[processor])) != 0) {
      perror("a real-time thread");
      return 1;
    }
  }
  puts("watching");
  fflush(stdout);
  for (;;) pause();
}
