// Large buffers that lanes share, so that an idle connection holds none. A lane takes one while it
// answers requests.
//
// A few are kept in slots; one exchange takes or fills a slot, without a lock. A lane passes the
// same hint each time, and mostly gets the buffer that it gave, warm in its cache. A buffer that
// finds no free slot goes back to the system.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace copse {

class BufferList {
 public:
  explicit BufferList(size_t size) : size_(size) {}
  BufferList(const BufferList&) = delete;
  size_t size() const { return size_; }

  // Null: there is no memory. Undefined content.
  uint8_t* Take(size_t hint);
  void Give(uint8_t* buffer, size_t hint);

  // The process's lists, never destroyed.
  static BufferList& Batches();   // replies that leave together
  static BufferList& Inputs();    // a request with the longest payload that is handled natively
  static BufferList& Waiting();   // what waits to be taken up

  static constexpr size_t kBatchBytes = 256 << 10;
  static constexpr size_t kInputBytes = (1 << 20) + (64 << 10);
  static constexpr size_t kWaitingBytes = 64 << 10;

 private:
  static constexpr size_t kSlots = 8;
  // A slot has a cache line of its own.
  struct alignas(64) Slot {
    std::atomic<uint8_t*> buffer{nullptr};
  };
  const size_t size_;
  std::array<Slot, kSlots> slots_;
};

}  // namespace copse
