// The states of an image's chunks, one atomic word each. They are memory of the process only;
// ChunkFile orders them with the disk. Every call is lock-free and may come from any thread.
//
// Word:  bits 0-1 state | bit 2 busy | bit 3 used | bit 4 marked | bit 5 touched | bit 6 sent |
// bits 8-31 pins (reads that are under way)
//
//   state       data file holds      readable   leaves by
//   absent      nothing promised     no         TakeForStore -> Publish(present | zero)
//   present     the chunk            yes        TakeForStore, TakeForEvict (both: absent at once);
//               a failed verify -> absent
//   zero        nothing promised     yes        TakeForStore, TakeForEvict
//   unverified  perhaps the chunk    no         TakeForVerify -> Publish(present | absent);
//               TakeForStore, TakeForEvict
//
//   busy  one store, verify or evict owns the chunk's records and its next state. Only the owner,
//         by Publish, clears it.
//   pins  only ever raised on `present`. TakeForStore and TakeForEvict want none, so neither an
//         overwrite nor a punched hole can come under a read. Verify tolerates them; when it fails
//         the chunk is absent with pins left over, which keep stores off (EBUSY) until they are
//         gone, and Unpin tells each of those readers that what it read is void.
//   used  set by each pin, cleared by Sweep.
//
// The next three stay whatever the state becomes. A thread looks before it sets one, so that a
// chunk that has it costs its readers nothing.
//   marked   the host wants to see the next read of it (readahead): lanes leave it to the host. Set
//            and cleared by the host.
//   touched  some guest has asked for it since the map was made. Never cleared.
//   sent     its pages may be in the queue of a socket (sendfile sends references to pages, which
//            outlive the pin), from this process or the one before: set with the chunk pinned, or
//            when the map is loaded. Cleared, busy and unpinned, once no page of it is referred to
//            any more.
//
// A zero chunk is read without a pin: an image does not change, so a chunk that was zero once is
// right as zeros for ever.
//
// Ordering. Publish is a release after the data and the record were written; Pin is an acquire, so
// a reader that sees `present` sees the data. Unpin is a release and Take* an acquire, so a thread
// that takes a chunk does so after all reads of it are done. After Take* a sequentially consistent
// fence keeps the punch behind the state. Sweep and the counters are relaxed: they are estimates to
// act on.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace copse {

enum class ChunkState : uint32_t { kAbsent = 0, kPresent = 1, kZero = 2, kUnverified = 3 };

enum class Pin { kPinned, kZero, kAbsent, kSaturated, kMarked };

// The reader of a chunk: a peer or the host itself; a guest through the host; a guest past the
// host.
enum class Reader { kHost, kGuest, kLane };

class ChunkMap {
 public:
  // False when there is no memory. `tail_bytes` is the length of the last chunk.
  bool Allocate(uint32_t chunk_count, uint32_t chunk_bytes, uint32_t tail_bytes);

  uint32_t count() const { return count_; }
  uint32_t ChunkLength(uint32_t index) const { return index + 1 == count_ ? tail_bytes_ : chunk_bytes_; }
  int64_t data_bytes() const { return data_bytes_.load(std::memory_order_relaxed); }
  int64_t zero_bytes() const { return zero_bytes_.load(std::memory_order_relaxed); }
  // Contained in data_bytes.
  int64_t unverified_bytes() const { return unverified_bytes_.load(std::memory_order_relaxed); }

  ChunkState state(uint32_t index) const { return StateOf(words_[index].load(std::memory_order_acquire)); }
  bool IsBusy(uint32_t index) const { return (words_[index].load(std::memory_order_relaxed) & kBusy) != 0; }
  uint32_t PinCount(uint32_t index) const { return words_[index].load(std::memory_order_acquire) >> kPinShift; }

  // Only while no other thread knows the map.
  void Load(uint32_t index, ChunkState state);

  // kPinned is to be given back by Unpin, whatever happens. kMarked is for lanes only. Guests touch
  // what is pinned or zero.
  Pin TryPin(uint32_t index, Reader reader = Reader::kHost);
  // True if TryPin would pin it or find it zero at this moment.
  bool IsReadable(uint32_t index, Reader reader) const;
  // True if the chunk is still what was pinned. False voids what was read meanwhile.
  bool Unpin(uint32_t index);

  void SetMark(uint32_t index, bool marked);
  void Touch(uint32_t index);
  bool IsTouched(uint32_t index) const { return (words_[index].load(std::memory_order_relaxed) & kTouched) != 0; }
  uint32_t touched_count() const { return touched_.load(std::memory_order_relaxed); }
  // By a thread that has it pinned.
  void SetSent(uint32_t index);
  bool IsSent(uint32_t index) const { return (words_[index].load(std::memory_order_relaxed) & kSent) != 0; }
  // By the thread that has it busy, when no pin is left on it.
  void ClearSent(uint32_t index) { words_[index].fetch_and(~kSent, std::memory_order_relaxed); }

  // Takes the chunk alone: absent and busy. False when it is busy or pinned. `before` is its state
  // until now.
  bool TakeForStore(uint32_t index, ChunkState* before);
  // The same, and false for an absent chunk too.
  bool TakeForEvict(uint32_t index, ChunkState* before);
  // Busy, with the state left as it is. False when it is busy.
  bool TakeForVerify(uint32_t index, ChunkState* state);
  // Absent from now on, still busy and still with its pins: what a failed verify does before it
  // touches the disk.
  void Unreadable(uint32_t index);
  // Ends a Take* by the chunk's next state.
  void Publish(uint32_t index, ChunkState state);

  // Second chance: from `hand`, wrapping round, over at most min(max_scan, count) chunks. Returns
  // the next hand.
  uint32_t Sweep(uint32_t hand, uint64_t max_scan, uint64_t max_count, std::vector<uint32_t>* found);

 private:
  static constexpr uint32_t kStateMask = 3, kBusy = 4, kUsed = 8, kMarked = 16, kTouched = 32, kSent = 64, kPinShift = 8, kPin = 1u << kPinShift,
                            kPinMax = (1u << 24) - 1;
  // The bits that a change of state leaves.
  static constexpr uint32_t kKept = kMarked | kTouched | kSent;
  static ChunkState StateOf(uint32_t word) { return static_cast<ChunkState>(word & kStateMask); }
  static bool HasData(ChunkState state) { return state == ChunkState::kPresent || state == ChunkState::kUnverified; }

  bool Take(uint32_t index, bool absent_too, ChunkState* before);
  void Exchange(uint32_t index, uint32_t cleared_bits, ChunkState state);
  void Count(uint32_t index, ChunkState before, ChunkState after);

  struct Free {
    void operator()(std::atomic<uint32_t>* words) const { free(words); }
  };
  std::unique_ptr<std::atomic<uint32_t>[], Free> words_;
  uint32_t count_ = 0;
  uint32_t chunk_bytes_ = 0;
  uint32_t tail_bytes_ = 0;
  std::atomic<int64_t> data_bytes_{0};
  std::atomic<int64_t> zero_bytes_{0};
  std::atomic<int64_t> unverified_bytes_{0};
  std::atomic<uint32_t> touched_{0};
};

static_assert(std::atomic<uint32_t>::is_always_lock_free, "chunk states are shared without locks");

}  // namespace copse
