#include "file_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "descriptor.h"

namespace copse {

uint64_t PageBytes() {
  static const uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

Status ReadFull(int fd, uint8_t* target, size_t size, uint64_t offset, AtEnd at_end) {
  while (size > 0) {
    const ssize_t count = pread(fd, target, size, static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return {errno, "pread"};
    }
    if (count == 0) {
      if (at_end == AtEnd::kError) return {EIO, "pread"};
      memset(target, 0, size);
      return {};
    }
    target += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<size_t>(count);
  }
  return {};
}

Status WriteFull(int fd, const uint8_t* source, size_t size, uint64_t offset, bool durable) {
  bool by_sync = false;
  while (size > 0) {
    const iovec part{const_cast<uint8_t*>(source), size};
    const int flags = durable && !by_sync ? RWF_DSYNC : 0;
    const ssize_t count = flags != 0 ? pwritev2(fd, &part, 1, static_cast<off_t>(offset), flags)
                                     : pwrite(fd, source, size, static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      if (flags != 0 && errno == EOPNOTSUPP) {
        by_sync = true;
        continue;
      }
      return {errno, "pwrite"};
    }
    source += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<size_t>(count);
  }
  return by_sync ? SyncData(fd) : Status{};
}

Status WriteParts(int fd, iovec* parts, int count, uint64_t offset) {
  while (count > 0) {
    const off_t at = static_cast<off_t>(offset);
    const ssize_t written = count == 1 ? pwrite(fd, parts->iov_base, parts->iov_len, at) : pwritev(fd, parts, count, at);
    if (written < 0) {
      if (errno == EINTR) continue;
      return {errno, "pwrite"};
    }
    offset += static_cast<uint64_t>(written);
    size_t rest = static_cast<size_t>(written);
    for (; count > 0 && rest >= parts->iov_len; parts += 1, count -= 1) rest -= parts->iov_len;
    if (count > 0) *parts = {static_cast<uint8_t*>(parts->iov_base) + rest, parts->iov_len - rest};
  }
  return {};
}

Status WriteZeros(int fd, uint64_t size, uint64_t offset) {
  alignas(64) static const uint8_t zeros[65536] = {};
  while (size > 0) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(size, sizeof(zeros)));
    const Status status = WriteFull(fd, zeros, part, offset, false);
    if (!status.ok()) return status;
    offset += part;
    size -= part;
  }
  return {};
}

Status ZeroAllocated(int fd, uint64_t size, uint64_t offset) {
  const int mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  while (fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0) {
    if (errno == EOPNOTSUPP) return WriteZeros(fd, size, offset);
    if (errno != EINTR) return {errno, "fallocate"};
  }
  return {};
}

Status SyncData(int fd) {
  while (fdatasync(fd) != 0) {
    if (errno != EINTR) return {errno, "fdatasync"};
  }
  return {};
}

Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return {errno, "open"};
  return fsync(fd.get()) == 0 ? Status{} : Status{errno, "fsync"};
}

Status PunchPages(int fd, uint64_t offset, uint64_t end, uint64_t* punched_start, uint64_t* punched_end) {
  const uint64_t page = PageBytes();
  const uint64_t start = (offset + page - 1) / page * page;
  const uint64_t stop = end / page * page;
  *punched_start = *punched_end = end;
  if (start >= stop) return {};
  while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(start), static_cast<off_t>(stop - start)) != 0) {
    if (errno != EINTR) return {errno, "fallocate"};
  }
  *punched_start = start;
  *punched_end = stop;
  return {};
}

bool PageCacheReader::Read(int fd, uint8_t* target, size_t size, uint64_t offset) {
  if (refused_.load(std::memory_order_relaxed)) return false;
  const iovec part{target, size};
  const ssize_t count = preadv2(fd, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  if (count == static_cast<ssize_t>(size)) return true;
  if (count < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) refused_.store(true, std::memory_order_relaxed);
  return false;
}

}  // namespace copse
