/*
 * relay NETNS_A DEVICE_A NETNS_B DEVICE_B DELAY_US: joins two network namespaces by a wire that is DELAY_US long in each direction.
 *
 * It makes a TUN device in each namespace and hands every packet from one to the other when its time has come. Packets travel as the kernel has them,
 * unsegmented and without checksums (IFF_VNET_HDR with offloads): a system call or two for up to 64 KiB, so that a fast link costs little CPU. The wire
 * limits no rate; shape the devices with tc. The kernel of some machines has no netem, which would do the same.
 *
 * Prints "ready" when both devices exist, then runs until it is killed or its parent is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* What is on the wire at most, in each direction: 1 Gbit/s for half a second. More is lost, as on any wire. */
#define MOST_BYTES (64u << 20)

struct packet {
  struct packet *next;
  int64_t due_ns;
  size_t length;
  char bytes[];
};

struct direction {
  int from, to;
  struct packet *first, **last;
  size_t bytes;
};

static void fail(const char *what) {
  fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A device belongs to the namespace in which /dev/net/tun was opened. */
static int open_device(const char *netns, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "/run/netns/%s", netns);
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) fail(path);
  close(namespace);
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) fail("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(device, TUNSETIFF, &request) < 0) fail(name);
  if (ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) fail("offloads");
  return device;
}

static void take(struct direction *way, int64_t delay_ns) {
  static char buffer[1 << 17];
  for (;;) {
    ssize_t length = read(way->from, buffer, sizeof buffer);
    if (length <= 0) return;
    if (way->bytes + (size_t)length > MOST_BYTES) continue;
    struct packet *packet = malloc(sizeof *packet + (size_t)length);
    if (packet == NULL) continue;
    packet->next = NULL;
    packet->due_ns = now_ns() + delay_ns;
    packet->length = (size_t)length;
    memcpy(packet->bytes, buffer, (size_t)length);
    *way->last = packet;
    way->last = &packet->next;
    way->bytes += packet->length;
  }
}

static void give(struct direction *way, int64_t now) {
  while (way->first != NULL && way->first->due_ns <= now) {
    struct packet *packet = way->first;
    way->first = packet->next;
    if (way->first == NULL) way->last = &way->first;
    way->bytes -= packet->length;
    /* What the other side can't take (device down) is lost. */
    if (write(way->to, packet->bytes, packet->length) < 0 && errno == EBADF) fail("write");
    free(packet);
  }
}

int main(int count, char **argument) {
  if (count != 6) {
    fprintf(stderr, "usage: relay NETNS_A DEVICE_A NETNS_B DEVICE_B DELAY_US\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1);
  int a = open_device(argument[1], argument[2]);
  int b = open_device(argument[3], argument[4]);
  int64_t delay_ns = (int64_t)atol(argument[5]) * 1000;
  struct direction ways[2] = {{.from = a, .to = b}, {.from = b, .to = a}};
  for (int i = 0; i < 2; i++) ways[i].last = &ways[i].first;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int64_t due = INT64_MAX;
    for (int i = 0; i < 2; i++)
      if (ways[i].first != NULL && ways[i].first->due_ns < due) due = ways[i].first->due_ns;
    int64_t wait = due == INT64_MAX ? 0 : due - now_ns();
    if (wait < 0) wait = 0;
    struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    struct pollfd polled[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    if (ppoll(polled, 2, due == INT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR) fail("ppoll");
    for (int i = 0; i < 2; i++)
      if (polled[i].revents != 0) take(&ways[i], delay_ns);
    int64_t now = now_ns();
    for (int i = 0; i < 2; i++) give(&ways[i], now);
  }
}
