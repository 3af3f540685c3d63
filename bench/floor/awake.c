/* Keeps one processor from halting and takes nothing from others on it: runs only while nobody else wants to. To wake a virtual
 * processor that has halted takes its host tens of microseconds. Argument: the processor's number. Prints
 * "awake" when it begins. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
  if (count != 2) return 2;
  cpu_set_t where;
  CPU_ZERO(&where);
  CPU_SET(atoi(arguments[1]), &where);
  const struct sched_param none = {0};
  if (sched_setaffinity(0, sizeof where, &where) != 0 || sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
    perror("sched");
    return 1;
  }
  puts("awake");
  fflush(stdout);
  for (;;) {
#if defined(__x86_64__)
    __builtin_ia32_pause(); /* Leaves a core's other thread its share. */
#else
    __asm__ volatile("" ::: "memory");
#endif
  }
}
