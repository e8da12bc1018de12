// Threads that are to run as soon as they are woken, or their time has come, each time for microseconds.
#pragma once

namespace copse {

// Asks the scheduler for the shortest slices for the calling thread, and to be woken on time (PR_SET_TIMERSLACK(2const): 50 µs late otherwise). From Linux 6.12 on (sched(7), EEVDF: sched_runtime of sched_setattr(2)) a thread with a shorter slice goes before the one that
// runs, whatever both have used; older kernels ignore it. It needs no privilege, and takes no share of the processor from anybody.
void AskForShortSlices();

}  // namespace copse
