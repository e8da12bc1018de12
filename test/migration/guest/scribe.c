/*
 * What the guest does: several writers write records, make each durable, say so, and read older ones back; or all of them rest, and nothing touches the disk.
 *
 * It is told by lines: "write", "idle", and "check", which rests, too, and reads all that was ever written. It says:
 *
 *     READY             nothing was done yet
 *     WROTE 17 0        record 17 is on the disk, as the disk says; so many times was something wrong before
 *     BAD 17 why        it can't be written, or can't be read back as it was written
 *     IDLE 5 0          rests for the fifth tenth of a second; so many times was something wrong
 *     CHECKED 900 0     so many records are on the disk; so many times was something wrong
 *
 * A record is 1536 bytes, so that most blocks of 4 KiB belong to two writers or three. It lies in slot (number mod slots), depends on its number alone, and ends with a sum over
 * itself; record.ts makes the same. Each writer has every so-manieth number, and so its own slots. Everything goes past the page cache (O_DIRECT).
 *
 * usage: scribe DEVICE OFFSET SLOTS    (SLOTS: a multiple of the writers)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { record_bytes = 1536, words = record_bytes / sizeof(uint32_t), writers = 3, pause_us = 10000, tick_us = 100000 };

static int disk;
static off_t base;
static uint32_t slots;
static uint32_t next_number[writers];
static unsigned bad_count;
static int is_writing;
static int busy_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

static void fill(uint32_t *record, uint32_t number) {
  uint32_t sum = 0;
  record[0] = number;
  for (uint32_t i = 1; i < words - 1; i++) record[i] = mix(number * words + i);
  for (uint32_t i = 0; i < words - 1; i++) sum += mix(record[i] + i);
  record[words - 1] = sum;
}

static off_t place(uint32_t number) { return base + (off_t)(number % slots) * record_bytes; }

static void bad(uint32_t number, const char *why) {
  __atomic_add_fetch(&bad_count, 1, __ATOMIC_SEQ_CST);
  printf("BAD %u %s\n", number, why);
}

static uint32_t *buffer(void) {
  void *memory;
  if (posix_memalign(&memory, 4096, 4096)) exit(1);
  return memory;
}

static void check(uint32_t number, uint32_t *record, uint32_t *expected) {
  fill(expected, number);
  if (pread(disk, record, record_bytes, place(number)) != record_bytes)
    bad(number, strerror(errno));
  else if (memcmp(record, expected, record_bytes))
    bad(number, "differs from what was written");
}

static void *write_records(void *argument) {
  uint32_t writer = (uint32_t)(uintptr_t)argument;
  uint32_t own_slots = slots / writers;
  uint32_t *record = buffer(), *expected = buffer();
  for (uint32_t turn = 0;; turn++) {
    uint32_t number = turn * writers + writer;
    uint32_t kept = turn < own_slots ? turn + 1 : own_slots;

    pthread_mutex_lock(&lock);
    while (!is_writing) pthread_cond_wait(&changed, &lock);
    busy_count++;
    pthread_mutex_unlock(&lock);

    fill(record, number);
    if (pwrite(disk, record, record_bytes, place(number)) != record_bytes || fdatasync(disk))
      bad(number, strerror(errno));
    else
      printf("WROTE %u %u\n", number, bad_count);
    check((turn - mix(number) % kept) * writers + writer, record, expected);

    pthread_mutex_lock(&lock);
    next_number[writer] = number + writers;
    busy_count--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    usleep(pause_us);
  }
  return NULL;
}

static void *tick(void *argument) {
  for (unsigned count = 0;; usleep(tick_us)) {
    pthread_mutex_lock(&lock);
    int is_idle = !is_writing && busy_count == 0;
    pthread_mutex_unlock(&lock);
    if (is_idle) printf("IDLE %u %u\n", ++count, bad_count);
  }
  return argument;
}

static void set_writing(int wanted) {
  pthread_mutex_lock(&lock);
  is_writing = wanted;
  pthread_cond_broadcast(&changed);
  while (!wanted && busy_count > 0) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static void check_all(void) {
  uint32_t *record = buffer(), *expected = buffer();
  unsigned count = 0;
  set_writing(0);
  for (uint32_t writer = 0; writer < writers; writer++) {
    for (uint32_t number = next_number[writer], left = slots / writers; number >= writers && left > 0; left--) {
      number -= writers;
      check(number, record, expected);
      count++;
    }
  }
  printf("CHECKED %u %u\n", count, bad_count);
  free(record);
  free(expected);
}

int main(int argc, char **argv) {
  char line[64];
  pthread_t thread;
  struct termios terminal;

  if (argc != 4) return 2;
  if (tcgetattr(0, &terminal) == 0) {
    terminal.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(0, TCSANOW, &terminal);
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  disk = open(argv[1], O_RDWR | O_DIRECT);
  base = strtoll(argv[2], NULL, 10);
  slots = (uint32_t)strtoul(argv[3], NULL, 10);
  if (disk < 0) {
    bad(0, strerror(errno));
    return 1;
  }
  for (uintptr_t writer = 0; writer < writers; writer++) pthread_create(&thread, NULL, write_records, (void *)writer);
  printf("READY\n");
  pthread_create(&thread, NULL, tick, NULL);
  while (fgets(line, sizeof line, stdin)) {
    if (strncmp(line, "write", 5) == 0) set_writing(1);
    if (strncmp(line, "idle", 4) == 0) set_writing(0);
    if (strncmp(line, "check", 5) == 0) check_all();
  }
  for (;;) pause();
}
