#include "buffer_list.h"

#include <sys/mman.h>

namespace copse {

uint8_t* BufferList::Take(size_t hint) {
  for (size_t i = 0; i < kSlots; i += 1) {
    std::atomic<uint8_t*>& slot = slots_[(hint + i) % kSlots].buffer;
    if (slot.load(std::memory_order_relaxed) == nullptr) continue;
    uint8_t* const buffer = slot.exchange(nullptr, std::memory_order_acquire);
    if (buffer != nullptr) return buffer;
  }
  // Not from the heap: a buffer that is given back has to leave the process.
  void* const mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<uint8_t*>(mapped);
}

void BufferList::Give(uint8_t* buffer, size_t hint) {
  for (size_t i = 0; i < kSlots; i += 1) {
    std::atomic<uint8_t*>& slot = slots_[(hint + i) % kSlots].buffer;
    uint8_t* empty = nullptr;
    if (slot.load(std::memory_order_relaxed) != nullptr) continue;
    if (slot.compare_exchange_strong(empty, buffer, std::memory_order_release, std::memory_order_relaxed)) return;
  }
  munmap(buffer, size_);
}

BufferList& BufferList::Batches() {
  static BufferList* const list = new BufferList(kBatchBytes);
  return *list;
}

BufferList& BufferList::Inputs() {
  static BufferList* const list = new BufferList(kInputBytes);
  return *list;
}

BufferList& BufferList::Waiting() {
  static BufferList* const list = new BufferList(kWaitingBytes);
  return *list;
}

}  // namespace copse
