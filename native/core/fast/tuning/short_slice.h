// Scheduling for threads that run for microseconds each time they are woken.
#pragma once

namespace copse {

// Asks the scheduler for the shortest slices for the calling thread, and for timers that fire on
// time: PR_SET_TIMERSLACK(2const) is 50 µs otherwise. From Linux 6.12 on a thread with a shorter
// slice goes before the one that runs, whatever share both have had (sched(7), EEVDF: sched_runtime
// of sched_setattr(2)). Older kernels ignore it. It needs no privilege and takes no share of the
// processor from any other thread.
void AskForShortSlices();

}  // namespace copse
