/*
 * What the guest of a migration does for ever: writes a record, makes it durable, reads an older one back, says so.
 *
 *     WROTE 17          record 17 is on the disk, as the disk says
 *     BAD 17 why        it can't be written, or an older one can't be read back as it was written
 *
 * A record is 4096 bytes, in slot (number mod slots): its number, text that depends on it alone, and a checksum over both. After a pause of a
 * hundredth of a second comes the next one. Everything goes past the page cache (O_DIRECT).
 *
 * usage: writer DEVICE OFFSET
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { record_bytes = 4096, slots = 2048, words = record_bytes / sizeof(uint64_t), pause_us = 10000 };

static uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* The last word is the sum of all others, each mixed with its place. */
static void fill(uint64_t *record, uint64_t number) {
  uint64_t sum = 0;
  record[0] = number;
  for (int i = 1; i < words - 1; i++) record[i] = mix(number * words + i);
  for (int i = 0; i < words - 1; i++) sum += mix(record[i] + i);
  record[words - 1] = sum;
}

static void bad(uint64_t number, const char *why) {
  printf("BAD %llu %s\n", (unsigned long long)number, why);
}

int main(int argc, char **argv) {
  uint64_t *record, *expected;
  off_t base;
  int disk;

  if (argc != 3) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  disk = open(argv[1], O_RDWR | O_DIRECT);
  base = strtoll(argv[2], NULL, 10);
  if (disk < 0 || posix_memalign((void **)&record, record_bytes, record_bytes) || posix_memalign((void **)&expected, record_bytes, record_bytes)) {
    bad(0, strerror(errno));
    return 1;
  }
  for (uint64_t number = 0;; number++) {
    uint64_t oldest = number < slots ? 0 : number - slots + 1;
    uint64_t older = oldest + mix(number) % (number - oldest + 1);

    fill(record, number);
    if (pwrite(disk, record, record_bytes, base + (off_t)(number % slots) * record_bytes) != record_bytes || fdatasync(disk))
      bad(number, strerror(errno));
    else
      printf("WROTE %llu\n", (unsigned long long)number);
    fill(expected, older);
    if (pread(disk, record, record_bytes, base + (off_t)(older % slots) * record_bytes) != record_bytes)
      bad(older, strerror(errno));
    else if (memcmp(record, expected, record_bytes))
      bad(older, "differs from what was written");
    usleep(pause_us);
  }
}
