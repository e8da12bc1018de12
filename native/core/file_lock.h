// flock(2) on a file of its own. The holder of the descriptor holds the lock, and the kernel
// releases it when the process dies.
#pragma once

#include "descriptor.h"
#include "status.h"

namespace copse {

// Creates the file if it is missing. `*held` is false when another descriptor, of this process or
// another, has the lock.
Status TryLockFile(const char* path, Descriptor* lock, bool* held);

}  // namespace copse
