// Which pages of one file are in the page cache, and the way to get them out of it. Any thread.
//
// Asked by mincore(2) over a mapping that is made once, when first needed, and that nobody can read through (PROT_NONE). Where that can't be (no mapping; file systems
// that are nothing but page cache, whose pages never leave it; overlayfs, which may lie on one) nothing counts as resident, so nothing is sent from there by reference.
//
// A page that somebody refers to stays in the page cache until it is truncated: reclaim, migration and invalidation all want it for themselves.
#pragma once

#include <cstdint>
#include <mutex>

namespace copse {

class PageResidency {
 public:
  PageResidency() = default;
  PageResidency(const PageResidency&) = delete;
  ~PageResidency();

  // Whether every page of the range is there. `fd` is the same in all calls, and outlives them alone. The file has its size by the first.
  bool All(int fd, uint64_t offset, uint64_t size);

  // Takes the range's pages out of the page cache, dirty ones by way of the disk; pages around it may go with them. True: none is left, so nobody refers to one that was there
  // before. False: somebody does (or did just now: that goes by). True as well where nothing counts as resident.
  bool Drop(int fd, uint64_t offset, uint64_t size);

 private:
  bool Map(int fd);
  // Whether some page of [start, end), whole pages, is there (or is not).
  bool Any(uint64_t start, uint64_t end, bool resident) const;

  std::once_flag once_;
  unsigned char* memory_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace copse
