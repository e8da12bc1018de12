#include "file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

namespace copse {

Status TryLockFile(const char* path, Descriptor* lock, bool* held) {
  *held = false;
  Descriptor fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return {errno, "open"};
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return {};
    if (errno != EINTR) return {errno, "flock"};
  }
  *lock = std::move(fd);
  *held = true;
  return {};
}

}  // namespace copse
