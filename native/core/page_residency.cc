#include "page_residency.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>

#include "file_io.h"

namespace copse {
namespace {

bool KeepsPages(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) != 0) return true;
  const auto type = static_cast<unsigned long>(info.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC || type == OVERLAYFS_SUPER_MAGIC;
}

uint64_t RoundDown(uint64_t value, uint64_t unit) { return value / unit * unit; }
uint64_t RoundUp(uint64_t value, uint64_t unit) { return RoundDown(value + unit - 1, unit); }

// Returns the largest power of two that divides it.
uint64_t AlignmentOf(uint64_t value) { return value & (~value + 1); }

void WriteAndDrop(int fd, uint64_t start, uint64_t end) {
  const off_t at = static_cast<off_t>(start), size = static_cast<off_t>(end - start);
  // A page that can't be written stays, and the check below sees it.
  sync_file_range(fd, at, size, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  posix_fadvise(fd, at, size, POSIX_FADV_DONTNEED);
}

}  // namespace

PageResidency::~PageResidency() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

bool PageResidency::Map(int fd) {
  std::call_once(once_, [this, fd] {
    struct stat info;
    if (KeepsPages(fd) || fstat(fd, &info) != 0 || info.st_size == 0) return;
    const uint64_t size = RoundUp(static_cast<uint64_t>(info.st_size), PageBytes());
    void* const memory = mmap(nullptr, size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<unsigned char*>(memory);
    size_ = size;
  });
  return memory_ != nullptr;
}

bool PageResidency::Any(uint64_t start, uint64_t end, bool resident) const {
  const uint64_t page = PageBytes();
  unsigned char pages[1024];
  while (start < end) {
    const uint64_t count = std::min<uint64_t>((end - start) / page, sizeof(pages));
    // EAGAIN: the kernel has no memory just now. What is unknown is the worse.
    if (mincore(memory_ + start, count * page, pages) != 0) return true;
    for (uint64_t i = 0; i < count; i += 1) {
      if (((pages[i] & 1) != 0) == resident) return true;
    }
    start += count * page;
  }
  return false;
}

bool PageResidency::All(int fd, uint64_t offset, uint64_t size) {
  if (!Map(fd)) return false;
  const uint64_t start = RoundDown(offset, PageBytes()), end = RoundUp(offset + size, PageBytes());
  return end <= size_ && !Any(start, end, false);
}

bool PageResidency::Drop(int fd, uint64_t offset, uint64_t size) {
  if (!Map(fd)) return true;
  const uint64_t page = PageBytes();
  const uint64_t start = RoundDown(offset, page), end = std::min(RoundUp(offset + size, page), size_);
  if (start >= end || !Any(start, end, true)) return true;
  WriteAndDrop(fd, start, end);
  // A large folio goes as a whole or not at all. It lies at a multiple of its size, so one that
  // reaches over an end of the range, which may keep a page there, is larger than what that end is
  // aligned to. 2 MiB is the largest with pages of 4 KiB.
  constexpr uint64_t kMostBytes = 4 << 20;
  auto reaches_over = [this, start, end, page] { return Any(start, start + page, true) || Any(end - page, end, true); };
  uint64_t span = AlignmentOf(start == 0 ? kMostBytes : start);
  if (end < size_) span = std::min(span, AlignmentOf(end));
  for (span *= 2; span <= kMostBytes && reaches_over(); span *= 2) {
    WriteAndDrop(fd, RoundDown(start, span), std::min(RoundUp(end, span), size_));
  }
  return !Any(start, end, true);
}

}  // namespace copse
