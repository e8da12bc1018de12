// The state of each 4 KiB block of a disk: one atomic byte a block, in memory that costs nothing
// until it is touched. And the part of the states that the map file does not have yet.
//
//   bits 0-1  state: base, data, zero or remote
//   bit 2     changed: marked while changes are tracked; in memory only
//   bits 3-7  of a remote block: the index of the node that has it. Bit 3 of a zero block: the data
//             file may still have bytes there ("stale"); in memory only
//
//   from \ to   data                 zero
//   base        write, zero          zero, trim
//   data        (written again)      zero, trim: stale until punched
//   zero        write, zero          (again)
//   remote      write, zero, fill    zero, trim
//   No block becomes base or remote again.
//
// Reading takes no lock. A state is stored (release) after the bytes that it promises were written,
// so a thread that loads it (acquire) finds them. All changes are made under one mutex, which is
// never held over I/O. A thread that changes the state of a block holds the range lock over the
// block, too.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "overlay_sector.h"

namespace copse {

enum class BlockState : uint8_t { kBase = 0, kData = 1, kZero = 2, kRemote = 3 };

constexpr uint64_t kBlockBytes = 4096;

// Blocks [first, end).
struct BlockRun {
  uint64_t first;
  uint64_t end;
};

class OverlayMap {
 public:
  // The part that a flush has to write, as it was when the flush took it.
  struct Changes {
    std::vector<uint64_t> sectors;  // ascending
    std::vector<uint8_t> bytes;     // 512 for each of `sectors`, not sealed
    std::vector<BlockRun> stale;    // ascending
  };

  OverlayMap() = default;
  OverlayMap(const OverlayMap&) = delete;
  ~OverlayMap();
  // False when there is no memory (or address space) for it.
  bool Allocate(uint64_t block_count);

  uint64_t count() const { return count_; }
  uint64_t sector_count() const { return SectorCount(count_); }
  static BlockState StateOf(uint8_t byte) { return static_cast<BlockState>(byte & kStateMask); }
  static uint8_t NodeOf(uint8_t byte) { return StateOf(byte) == BlockState::kRemote ? byte >> kNodeShift : 0; }
  // The part of a byte that the map file has.
  static uint8_t Durable(uint8_t byte) { return StateOf(byte) == BlockState::kRemote ? byte & static_cast<uint8_t>(~kChanged) : byte & kStateMask; }
  uint8_t byte(uint64_t block) const { return bytes_[block].load(std::memory_order_acquire); }
  BlockState state(uint64_t block) const { return StateOf(byte(block)); }
  // The end of the run of blocks that are as `first` is (state and node: `*seen`, a byte of the map
  // file), at most `end`. The caller takes the state from here: another look at the block may find
  // another one, of which the run knows nothing.
  uint64_t RunEnd(uint64_t first, uint64_t end, uint8_t* seen) const;
  uint64_t RunEnd(uint64_t first, uint64_t end, BlockState* seen) const;
  // True if all blocks of a range that is not empty are in this state.
  bool All(uint64_t first, uint64_t end, BlockState state) const;
  // True if all are data or zero.
  bool IsLocal(uint64_t first, uint64_t end) const;

  int64_t block_count(BlockState state) const { return counts_[static_cast<size_t>(state)].load(std::memory_order_relaxed); }
  int64_t changed_count() const { return changed_.load(std::memory_order_relaxed); }

  // Only while no other thread knows the map: 508 bytes (fewer at the end) of a sector of the file.
  void LoadSector(uint64_t sector, const uint8_t* states);
  // The same: a run of zero blocks under which the data file has bytes.
  void LoadStale(uint64_t first, uint64_t end);
  // The same: the next flush writes the sectors of these blocks, or of all that are not base. The
  // map file may read so, and not be so on the disk.
  void LoadUnwritten(uint64_t first, uint64_t end);
  void LoadAllUnwritten();

  // After the bytes were written: the blocks are data, or zero. With `change` they are marked where
  // changes are tracked.
  void Set(uint64_t first, uint64_t end, BlockState state, bool change);
  // The data file may have bytes under these, where they are zero.
  void SetStale(uint64_t first, uint64_t end);
  // The data file has no bytes under these any more.
  void ClearStale(uint64_t first, uint64_t end);
  bool IsStale(uint64_t block) const;

  void TrackChanges(bool on, bool all);
  void Copy(uint8_t* target, uint64_t first, uint64_t count, bool take_changes);

  // Takes all that a flush has to write or punch; GiveBack undoes it.
  void TakeChanges(Changes* changes);
  void GiveBack(const Changes& changes);
  // True if there is something to take.
  bool HasChanges();

 private:
  using Word = uint64_t __attribute__((may_alias));
  static constexpr uint8_t kStateMask = 3, kChanged = 4, kStale = 8;
  static constexpr int kNodeShift = 3;
  // With the mutex held.
  void SetInSector(uint64_t sector, uint64_t first, uint64_t end, BlockState state, bool change);
  void MarkSector(uint64_t sector, uint8_t mark, std::vector<uint64_t>* list);
  void FindStale(uint64_t sector, std::vector<BlockRun>* runs) const;
  // Calls `visit(sector, first, end)` with the mutex held for each sector's part of the range, and
  // lets go of it now and then.
  template <class Visit>
  void InParts(uint64_t first, uint64_t end, Visit visit);
  // Eight blocks at once; `block` is a multiple of 8. The order of their bytes does not matter: all
  // are compared with one.
  uint64_t LoadWord(uint64_t block) const { return __atomic_load_n(reinterpret_cast<const Word*>(bytes_ + block), __ATOMIC_ACQUIRE); }
  static constexpr uint64_t Repeat(uint8_t byte) { return byte * UINT64_C(0x0101010101010101); }

  std::atomic<uint8_t>* bytes_ = nullptr;
  uint64_t count_ = 0;
  std::atomic<int64_t> counts_[4] = {};
  std::atomic<int64_t> changed_{0};

  std::mutex mutex_;
  // All of these under the mutex. A sector is in a list if it has the mark.
  static constexpr uint8_t kUnwritten = 1, kUnpunched = 2;
  std::vector<uint8_t> marks_;
  std::vector<uint64_t> unwritten_;
  std::vector<uint64_t> unpunched_;
  bool tracking_ = false;
};

template <class Visit>
void OverlayMap::InParts(uint64_t first, uint64_t end, Visit visit) {
  // Blocks that one hold of the mutex covers at most.
  constexpr uint64_t kPartBlocks = 128 * kSectorBlocks;
  while (first < end) {
    const std::lock_guard<std::mutex> hold(mutex_);
    const uint64_t part_end = std::min(end, first + kPartBlocks);
    while (first < part_end) {
      const uint64_t sector = first / kSectorBlocks;
      const uint64_t sector_end = std::min(part_end, (sector + 1) * kSectorBlocks);
      visit(sector, first, sector_end);
      first = sector_end;
    }
  }
}

static_assert(std::atomic<uint8_t>::is_always_lock_free && sizeof(std::atomic<uint8_t>) == 1, "block states are shared without locks");

}  // namespace copse
