// The changes of an overlay's map: for the node that follows this one (marks), and for the map file
// (sectors).
#include <algorithm>
#include <cstring>

#include "overlay_map.h"

namespace copse {

void OverlayMap::TrackChanges(bool on, bool all) {
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    tracking_ = on;
  }
  // A thread that changes a block from now on sees the new flag. Changes before are seen here.
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
        const uint64_t word = LoadWord(block);
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
