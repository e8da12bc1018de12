#include "overlay_map.h"

#include <sys/mman.h>

#include <algorithm>

namespace copse {

OverlayMap::~OverlayMap() {
  if (bytes_ != nullptr) munmap(bytes_, count_);
}

bool OverlayMap::Allocate(uint64_t block_count) {
  if (block_count == 0) return true;
  void* const memory = mmap(nullptr, block_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  // A block that is written must not cost 2 MiB.
  madvise(memory, block_count, MADV_NOHUGEPAGE);
  // Anonymous memory is zeros, and zeros are the initial value: nothing is to be constructed, which
  // would touch it.
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
    if (at % 8 == 0 && at + 8 <= end && (LoadWord(at) & masks) == wanted) {
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

void OverlayMap::LoadUnwritten(uint64_t first, uint64_t end) {
  InParts(first, end, [this](uint64_t sector, uint64_t, uint64_t) { MarkSector(sector, kUnwritten, &unwritten_); });
}

void OverlayMap::LoadAllUnwritten() {
  for (uint64_t first = 0; first < count_;) {
    BlockState state;
    const uint64_t end = RunEnd(first, count_, &state);
    if (state != BlockState::kBase) LoadUnwritten(first, end);
    first = end;
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

}  // namespace copse
