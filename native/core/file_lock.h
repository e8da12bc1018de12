// flock(2) on a file of its own: who holds the descriptor holds the lock; the kernel lets go of it when the process dies.
#pragma once

#include "descriptor.h"
#include "status.h"

namespace copse {

// Creates the file if it is missing. `*held` is false when somebody else, in this process or another, has the lock.
Status TryLockFile(const char* path, Descriptor* lock, bool* held);

}  // namespace copse
