#include "chunk_map.h"

#include <algorithm>

namespace copse {

bool ChunkMap::Allocate(uint32_t chunk_count, uint32_t chunk_bytes, uint32_t tail_bytes) {
  // Not `new[]()`, which writes all of it: the zeros of a large map are the kernel's, page by page
  // as they are touched.
  words_.reset(static_cast<std::atomic<uint32_t>*>(calloc(chunk_count == 0 ? 1 : chunk_count, sizeof(std::atomic<uint32_t>))));
  count_ = chunk_count;
  chunk_bytes_ = chunk_bytes;
  tail_bytes_ = tail_bytes;
  return words_ != nullptr;
}

void ChunkMap::Load(uint32_t index, ChunkState state) {
  words_[index].store(static_cast<uint32_t>(state) | kSent, std::memory_order_relaxed);
  Count(index, ChunkState::kAbsent, state);
}

Pin ChunkMap::TryPin(uint32_t index, Reader reader) {
  std::atomic<uint32_t>& word = words_[index];
  uint32_t seen = word.load(std::memory_order_acquire);
  while (true) {
    const ChunkState state = StateOf(seen);
    if (reader == Reader::kLane && (seen & kMarked) != 0) return Pin::kMarked;
    if (state == ChunkState::kZero) {
      if (reader != Reader::kHost && (seen & kTouched) == 0) Touch(index);
      return Pin::kZero;
    }
    if (state != ChunkState::kPresent) return Pin::kAbsent;
    if (seen >> kPinShift == kPinMax) return Pin::kSaturated;
    const uint32_t next = (seen + kPin) | kUsed | (reader == Reader::kHost ? 0 : kTouched);
    if (!word.compare_exchange_weak(seen, next, std::memory_order_acquire, std::memory_order_acquire)) continue;
    if (((next ^ seen) & kTouched) != 0) touched_.fetch_add(1, std::memory_order_relaxed);
    return Pin::kPinned;
  }
}

bool ChunkMap::IsReadable(uint32_t index, Reader reader) const {
  const uint32_t seen = words_[index].load(std::memory_order_relaxed);
  const ChunkState state = StateOf(seen);
  return (state == ChunkState::kPresent || state == ChunkState::kZero) && (reader != Reader::kLane || (seen & kMarked) == 0);
}

void ChunkMap::SetMark(uint32_t index, bool marked) {
  if (marked) {
    words_[index].fetch_or(kMarked, std::memory_order_relaxed);
  } else {
    words_[index].fetch_and(~kMarked, std::memory_order_relaxed);
  }
}

void ChunkMap::Touch(uint32_t index) {
  std::atomic<uint32_t>& word = words_[index];
  if ((word.load(std::memory_order_relaxed) & kTouched) != 0) return;
  if ((word.fetch_or(kTouched, std::memory_order_relaxed) & kTouched) == 0) touched_.fetch_add(1, std::memory_order_relaxed);
}

void ChunkMap::SetSent(uint32_t index) {
  std::atomic<uint32_t>& word = words_[index];
  if ((word.load(std::memory_order_relaxed) & kSent) == 0) word.fetch_or(kSent, std::memory_order_relaxed);
}

bool ChunkMap::Unpin(uint32_t index) {
  return StateOf(words_[index].fetch_sub(kPin, std::memory_order_acq_rel)) == ChunkState::kPresent;
}

bool ChunkMap::Take(uint32_t index, bool absent_too, ChunkState* before) {
  std::atomic<uint32_t>& word = words_[index];
  uint32_t seen = word.load(std::memory_order_relaxed);
  do {
    *before = StateOf(seen);
    if ((seen & kBusy) != 0 || seen >> kPinShift != 0 || (!absent_too && *before == ChunkState::kAbsent)) return false;
  } while (!word.compare_exchange_weak(seen, (seen & kKept) | kBusy, std::memory_order_acq_rel, std::memory_order_relaxed));
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Count(index, *before, ChunkState::kAbsent);
  return true;
}

bool ChunkMap::TakeForStore(uint32_t index, ChunkState* before) { return Take(index, true, before); }

bool ChunkMap::TakeForEvict(uint32_t index, ChunkState* before) { return Take(index, false, before); }

bool ChunkMap::TakeForVerify(uint32_t index, ChunkState* state) {
  const uint32_t seen = words_[index].fetch_or(kBusy, std::memory_order_acq_rel);
  *state = StateOf(seen);
  return (seen & kBusy) == 0;
}

void ChunkMap::Unreadable(uint32_t index) {
  Exchange(index, 0, ChunkState::kAbsent);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void ChunkMap::Publish(uint32_t index, ChunkState state) { Exchange(index, kBusy, state); }

void ChunkMap::Exchange(uint32_t index, uint32_t cleared_bits, ChunkState state) {
  std::atomic<uint32_t>& word = words_[index];
  uint32_t seen = word.load(std::memory_order_relaxed);
  uint32_t next;
  do {
    next = (seen & ~(kStateMask | cleared_bits)) | static_cast<uint32_t>(state);
  } while (!word.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed));
  Count(index, StateOf(seen), state);
}

void ChunkMap::Count(uint32_t index, ChunkState before, ChunkState after) {
  const int64_t length = ChunkLength(index);
  const int64_t data = (HasData(after) ? length : 0) - (HasData(before) ? length : 0);
  const int64_t zero = (after == ChunkState::kZero ? length : 0) - (before == ChunkState::kZero ? length : 0);
  if (data != 0) data_bytes_.fetch_add(data, std::memory_order_relaxed);
  if (zero != 0) zero_bytes_.fetch_add(zero, std::memory_order_relaxed);
  const int64_t doubted = (after == ChunkState::kUnverified ? length : 0) - (before == ChunkState::kUnverified ? length : 0);
  if (doubted != 0) unverified_bytes_.fetch_add(doubted, std::memory_order_relaxed);
}

uint32_t ChunkMap::Sweep(uint32_t hand, uint64_t max_scan, uint64_t max_count, std::vector<uint32_t>* found) {
  const uint64_t scan = std::min<uint64_t>(max_scan, count_);
  for (uint64_t seen = 0; seen < scan && found->size() < max_count; seen += 1) {
    std::atomic<uint32_t>& word = words_[hand];
    const uint32_t now = word.load(std::memory_order_relaxed);
    if (HasData(StateOf(now)) && (now & kBusy) == 0) {
      if ((now & kUsed) != 0) {
        word.fetch_and(~kUsed, std::memory_order_relaxed);
      } else if (now >> kPinShift == 0) {
        found->push_back(hand);
      }
    }
    hand = hand + 1 == count_ ? 0 : hand + 1;
  }
  return hand;
}

}  // namespace copse
