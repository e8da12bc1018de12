#include "overlay_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace copse {
namespace {

using Word = uint64_t __attribute__((may_alias));

// Eight blocks at once; `block` is a multiple of 8. The order of their bytes does not matter: all are compared with one.
uint64_t LoadWord(const std::atomic<uint8_t>* bytes, uint64_t block) {
  return __atomic_load_n(reinterpret_cast<const Word*>(bytes + block), __ATOMIC_ACQUIRE);
}

constexpr uint64_t Repeat(uint8_t byte) { return byte * UINT64_C(0x0101010101010101); }

// The mutex is let go of after so many blocks: nobody waits longer than for these.
constexpr uint64_t kPartBlocks = 128 * kSectorBlocks;

}  // namespace

OverlayMap::~OverlayMap() {
  if (bytes_ != nullptr) munmap(bytes_, count_);
}

bool OverlayMap::Allocate(uint64_t block_count) {
  if (block_count == 0) return true;
  void* const memory = mmap(nullptr, block_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  // A block that is written must not cost 2 MiB.
  madvise(memory, block_count, MADV_NOHUGEPAGE);
  // Anonymous memory is zeros, and zeros are the initial value: nothing is to be constructed, which would touch it.
  bytes_ = static_cast<std::atomic<uint8_t>*>(memory);
  count_ = block_count;
  counts_[static_cast<size_t>(BlockState::kBase)].store(static_cast<int64_t>(block_count), std::memory_order_relaxed);
  marks_.resize(sector_count());
  return true;
}

uint64_t OverlayMap::RunEnd(uint64_t first, uint64_t end, uint8_t* first_seen) const {
  const uint8_t seen = *first_seen = Durable(byte(first));
  const uint8_t mask = StateOf(seen) == BlockState::kRemote ? static_cast<uint8_t>(~kChanged) : kStateMask;
  const uint64_t masks = Repeat(mask), wanted = Repeat(seen);
  uint64_t at = first + 1;
  while (at < end) {
    if (at % 8 == 0 && at + 8 <= end && (LoadWord(bytes_, at) & masks) == wanted) {
      at += 8;
    } else if ((byte(at) & mask) == seen) {
      at += 1;
    } else {
      break;
    }
  }
  return at;
}

uint64_t OverlayMap::RunEnd(uint64_t first, uint64_t end, BlockState* seen) const {
  uint8_t byte;
  const uint64_t run_end = RunEnd(first, end, &byte);
  *seen = StateOf(byte);
  return run_end;
}

bool OverlayMap::All(uint64_t first, uint64_t end, BlockState state) const {
  BlockState seen;
  return RunEnd(first, end, &seen) == end && seen == state;
}

bool OverlayMap::IsLocal(uint64_t first, uint64_t end) const {
  while (first < end) {
    BlockState seen;
    first = RunEnd(first, end, &seen);
    if (seen != BlockState::kData && seen != BlockState::kZero) return false;
  }
  return true;
}

void OverlayMap::LoadSector(uint64_t sector, const uint8_t* states) {
  const uint64_t first = sector * kSectorBlocks;
  const uint64_t size = std::min<uint64_t>(kSectorBlocks, count_ - first);
  int64_t counts[4] = {};
  for (uint64_t i = 0; i < size; i += 1) {
    const uint8_t byte = Durable(states[i]);
    counts[byte & kStateMask] += 1;
    if (byte != 0) bytes_[first + i].store(byte, std::memory_order_relaxed);
  }
  for (size_t state = 0; state < 4; state += 1) counts_[state].fetch_add(counts[state], std::memory_order_relaxed);
  counts_[0].fetch_sub(static_cast<int64_t>(size), std::memory_order_relaxed);
}

void OverlayMap::LoadStale(uint64_t first, uint64_t end) { SetStale(first, end); }

// Calls `visit(sector, first, end)` with the mutex held for each sector's part of the range.
template <class Visit>
void OverlayMap::InParts(uint64_t first, uint64_t end, Visit visit) {
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

void OverlayMap::MarkSector(uint64_t sector, uint8_t mark, std::vector<uint64_t>* list) {
  if ((marks_[sector] & mark) != 0) return;
  marks_[sector] |= mark;
  list->push_back(sector);
}

void OverlayMap::SetInSector(uint64_t sector, uint64_t first, uint64_t end, BlockState state, bool change) {
  int64_t counts[4] = {};
  int64_t changed = 0;
  bool unwritten = false;
  bool unpunched = false;
  for (uint64_t block = first; block < end; block += 1) {
    const uint8_t before = bytes_[block].load(std::memory_order_relaxed);
    const BlockState state_before = StateOf(before);
    uint8_t after = static_cast<uint8_t>(static_cast<uint8_t>(state) | (before & kChanged));
    if (state == BlockState::kZero) {
      if (state_before == BlockState::kZero) continue;
      if (state_before == BlockState::kData) {
        after |= kStale;
        unpunched = true;
      }
    }
    if (change) after |= kChanged;
    if (after == before) continue;
    changed += ((after & kChanged) != 0) - ((before & kChanged) != 0);
    counts[static_cast<size_t>(state_before)] -= 1;
    counts[static_cast<size_t>(state)] += 1;
    unwritten = unwritten || Durable(after) != Durable(before);
    bytes_[block].store(after, std::memory_order_release);
  }
  for (size_t i = 0; i < 4; i += 1) {
    if (counts[i] != 0) counts_[i].fetch_add(counts[i], std::memory_order_relaxed);
  }
  if (changed != 0) changed_.fetch_add(changed, std::memory_order_relaxed);
  if (unwritten) MarkSector(sector, kUnwritten, &unwritten_);
  if (unpunched) MarkSector(sector, kUnpunched, &unpunched_);
}

void OverlayMap::Set(uint64_t first, uint64_t end, BlockState state, bool change) {
  InParts(first, end, [this, state, change](uint64_t sector, uint64_t from, uint64_t to) {
    SetInSector(sector, from, to, state, change && tracking_);
  });
}

void OverlayMap::SetStale(uint64_t first, uint64_t end) {
  InParts(first, end, [this](uint64_t sector, uint64_t from, uint64_t to) {
    bool any = false;
    for (uint64_t block = from; block < to; block += 1) {
      const uint8_t before = bytes_[block].load(std::memory_order_relaxed);
      if (StateOf(before) != BlockState::kZero) continue;
      bytes_[block].store(before | kStale, std::memory_order_release);
      any = true;
    }
    if (any) MarkSector(sector, kUnpunched, &unpunched_);
  });
}

void OverlayMap::ClearStale(uint64_t first, uint64_t end) {
  InParts(first, end, [this](uint64_t, uint64_t from, uint64_t to) {
    for (uint64_t block = from; block < to; block += 1) {
      const uint8_t before = bytes_[block].load(std::memory_order_relaxed);
      if (StateOf(before) == BlockState::kZero) bytes_[block].store(before & ~kStale, std::memory_order_release);
    }
  });
}

bool OverlayMap::IsStale(uint64_t block) const {
  const uint8_t now = byte(block);
  return StateOf(now) == BlockState::kZero && (now & kStale) != 0;
}

void OverlayMap::TrackChanges(bool on, bool all) {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    tracking_ = on;
  }
  // Who changes a block from now on sees the new flag; who did before is seen here.
  if (on && !all) return;
  uint64_t first = 0;
  while (first < count_) {
    BlockState seen;
    const uint64_t end = RunEnd(first, count_, &seen);
    if (!on && changed_count() == 0) return;
    if (on && seen == BlockState::kBase) {
      first = end;
      continue;
    }
    InParts(first, end, [this, on](uint64_t, uint64_t from, uint64_t to) {
      int64_t changed = 0;
      for (uint64_t block = from; block < to; block += 1) {
        const uint8_t before = bytes_[block].load(std::memory_order_relaxed);
        const uint8_t after = on ? before | kChanged : before & static_cast<uint8_t>(~kChanged);
        if (after == before) continue;
        changed += on ? 1 : -1;
        bytes_[block].store(after, std::memory_order_release);
      }
      if (changed != 0) changed_.fetch_add(changed, std::memory_order_relaxed);
    });
    first = end;
  }
}

void OverlayMap::Copy(uint8_t* target, uint64_t first, uint64_t count, bool take_changes) {
  const uint64_t start = first;
  InParts(first, first + count, [this, target, start, take_changes](uint64_t, uint64_t from, uint64_t to) {
    int64_t taken = 0;
    for (uint64_t block = from; block < to; block += 1) {
      if (block % 8 == 0 && block + 8 <= to) {
        // Eight with neither mark nor node.
        const uint64_t word = LoadWord(bytes_, block);
        if ((word & ~Repeat(kStateMask)) == 0) {
          memcpy(target + (block - start), &word, sizeof(word));
          block += 7;
          continue;
        }
      }
      const uint8_t byte = bytes_[block].load(std::memory_order_relaxed);
      const uint8_t changed = byte & kChanged;
      target[block - start] = Durable(byte) | changed;
      if (!take_changes || changed == 0) continue;
      taken += 1;
      bytes_[block].store(byte & static_cast<uint8_t>(~kChanged), std::memory_order_release);
    }
    if (taken != 0) changed_.fetch_sub(taken, std::memory_order_relaxed);
  });
}

void OverlayMap::FindStale(uint64_t sector, std::vector<BlockRun>* runs) const {
  const uint64_t end = std::min(count_, (sector + 1) * kSectorBlocks);
  for (uint64_t block = sector * kSectorBlocks; block < end; block += 1) {
    if (!IsStale(block)) continue;
    if (!runs->empty() && runs->back().end == block) {
      runs->back().end += 1;
    } else {
      runs->push_back({block, block + 1});
    }
  }
}

void OverlayMap::TakeChanges(Changes* changes) {
  const std::lock_guard<std::mutex> hold(mutex_);
  std::sort(unwritten_.begin(), unwritten_.end());
  std::sort(unpunched_.begin(), unpunched_.end());
  changes->bytes.assign(unwritten_.size() * kSectorBytes, 0);
  uint8_t* target = changes->bytes.data();
  for (const uint64_t sector : unwritten_) {
    const uint64_t first = sector * kSectorBlocks;
    const uint64_t size = std::min<uint64_t>(kSectorBlocks, count_ - first);
    for (uint64_t i = 0; i < size; i += 1) target[i] = Durable(bytes_[first + i].load(std::memory_order_relaxed));
    target += kSectorBytes;
    marks_[sector] &= static_cast<uint8_t>(~kUnwritten);
  }
  for (const uint64_t sector : unpunched_) {
    FindStale(sector, &changes->stale);
    marks_[sector] &= static_cast<uint8_t>(~kUnpunched);
  }
  changes->sectors.swap(unwritten_);
  unwritten_.clear();
  unpunched_.clear();
}

void OverlayMap::GiveBack(const Changes& changes) {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    for (const uint64_t sector : changes.sectors) MarkSector(sector, kUnwritten, &unwritten_);
  }
  for (const BlockRun& run : changes.stale) SetStale(run.first, run.end);
}

bool OverlayMap::HasChanges() {
  const std::lock_guard<std::mutex> hold(mutex_);
  return !unwritten_.empty() || !unpunched_.empty();
}

}  // namespace copse
