// The pages of one file that are in the page cache, and the way to get them out of it. Any thread
// may call it.
//
// It asks mincore(2) over a mapping that is made when first needed and that no access may read
// (PROT_NONE). Nothing counts as resident, and so nothing is sent by reference, where that fails:
// without a mapping, on file systems that consist of page cache (their pages never leave it), and
// on overlayfs, which may lie on one.
//
// A page that is referred to stays in the page cache until it is truncated: reclaim, migration and
// invalidation all need it for themselves.
#pragma once

#include <cstdint>
#include <mutex>

namespace copse {

class PageResidency {
 public:
  PageResidency() = default;
  PageResidency(const PageResidency&) = delete;
  ~PageResidency();

  // True if every page of the range is there. `fd` is the same in all calls, and outlives them
  // alone. The file has its size by the first.
  bool All(int fd, uint64_t offset, uint64_t size);

  // Takes the range's pages out of the page cache, dirty ones by way of the disk; pages around it
  // may go with them. True: none is left, so none that was there before is referred to. False: one
  // is, or was a moment ago. True as well where nothing counts as resident.
  bool Drop(int fd, uint64_t offset, uint64_t size);

 private:
  bool Map(int fd);
  // True if some page of [start, end), in whole pages, is there (or is not).
  bool Any(uint64_t start, uint64_t end, bool resident) const;

  std::once_flag once_;
  unsigned char* memory_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace copse
