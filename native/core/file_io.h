// Positioned file I/O that is complete or an error: short counts and EINTR end here. Any thread may
// call it. Its only state is the memory of a refused flag (CachedReader).
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "status.h"

namespace copse {

// The result of a read beyond the end of the file.
enum class AtEnd { kZeros, kError };

// Fills all of `target`. Beyond the end of the file it finds zeros, or EIO if the file was cut
// meanwhile.
Status ReadFull(int fd, uint8_t* target, size_t size, uint64_t offset, AtEnd at_end);

// Writes all of `source`; `durable` as RWF_DSYNC.
Status WriteFull(int fd, const uint8_t* source, size_t size, uint64_t offset, bool durable);

// Writes all parts, one after the other, in one call where the kernel takes them so. Changes
// `parts`.
Status WriteParts(int fd, iovec* parts, int count, uint64_t offset);

// Writes `size` zero bytes.
Status WriteZeros(int fd, uint64_t size, uint64_t offset);

Status SyncData(int fd);

// Makes the folder of `path` durable, with its entries.
Status SyncFolderOf(const std::string& path);

// Frees the whole pages inside [offset, end) so that they read as zeros; the file keeps its size.
// Returns what was punched in [*punched_start, *punched_end), which is empty when the range holds
// no whole page. EOPNOTSUPP where there are no holes.
Status PunchPages(int fd, uint64_t offset, uint64_t end, uint64_t* punched_start, uint64_t* punched_end);

// Makes the range read as zeros and keeps (or gives it) its space; the file keeps its size.
Status ZeroAllocated(int fd, uint64_t size, uint64_t offset);

uint64_t PageBytes();

// Reads from the page cache alone (preadv2 with RWF_NOWAIT). One object for each file: a file
// system that refuses the flag, like tmpfs, is asked once.
class PageCacheReader {
 public:
  // True if all `size` bytes were there. The target is undefined otherwise.
  bool Read(int fd, uint8_t* target, size_t size, uint64_t offset);

 private:
  std::atomic<bool> refused_{false};
};

}  // namespace copse
