// A file of its own, because the kernel's header and pthread.h both define sched_param.
#include "short_slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace copse {

namespace {

// The shortest slice that the kernel gives.
constexpr unsigned long long kSliceNs = 100'000;
constexpr unsigned long kTimerSlackNs = 1000;

}  // namespace

void AskForShortSlices() {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  sched_attr attributes{};
  // Policy and nice value stay as they were inherited.
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 || attributes.sched_policy != SCHED_NORMAL) return;
  attributes.sched_runtime = kSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace copse
