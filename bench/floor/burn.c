/* A busy loop: keeps one processor as busy as the scheduler lets it. */
int main(void) {
  for (volatile unsigned long i = 0;; i++) {
  }
}
