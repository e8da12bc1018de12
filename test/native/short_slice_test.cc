// AskForShortSlices asks for short slices and precise timers, and changes nothing else.
#include "../../native/core/fast/tuning/short_slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>

// Not check.h: it brings pthread.h, which defines sched_param as the kernel's header does.
#define EXPECT(condition)                                             \
  if (!(condition)) {                                                 \
    fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
    return 1;                                                         \
  }

namespace {

sched_attr Attributes() {
  sched_attr attributes{};
  syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0);
  return attributes;
}

bool KnowsSlices() {
  utsname name;
  int major = 0, minor = 0;
  uname(&name);
  sscanf(name.release, "%d.%d", &major, &minor);
  return major > 6 || (major == 6 && minor >= 12);
}

}  // namespace

int main() {
  if (nice(3) == -1) return 1;
  const sched_attr before = Attributes();
  copse::AskForShortSlices();
  const sched_attr after = Attributes();
  EXPECT(after.sched_policy == SCHED_NORMAL);
  EXPECT(after.sched_nice == before.sched_nice);
  if (KnowsSlices()) EXPECT(after.sched_runtime == 100'000);
  EXPECT(prctl(PR_GET_TIMERSLACK) == 1000);

  // A thread that was given another policy keeps it.
  sched_attr batch = before;
  batch.sched_policy = SCHED_BATCH;
  EXPECT(syscall(SYS_sched_setattr, 0, &batch, 0) == 0);
  copse::AskForShortSlices();
  EXPECT(Attributes().sched_policy == SCHED_BATCH);
  return 0;
}
