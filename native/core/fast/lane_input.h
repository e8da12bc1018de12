// The bytes that were received from a connection and not handled yet. A small buffer of its own is
// all that an idle connection holds. A large shared one takes its place while a request with a
// payload is received that is handled as a whole.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "buffer_list.h"

namespace copse {

class LaneInput {
 public:
  // Reads from `fd`, after `early`.
  LaneInput(int fd, std::vector<uint8_t> early) : fd_(fd), early_(std::move(early)) {}
  LaneInput(const LaneInput&) = delete;
  ~LaneInput() { DropLarge(); }

  const uint8_t* data() const { return bytes_ + begin_; }
  size_t size() const { return end_ - begin_; }
  void Consume(size_t size) { begin_ += size; }

  // Room for `whole` bytes from data() on, up to BufferList::kInputBytes. False: no memory.
  bool Reserve(size_t whole);
  // Receives more behind what is there; waits until there is any. False: the end of the input, or
  // its failure.
  bool Receive();
  // Receives what has come meanwhile, behind what is there, as far as there is room. False:
  // nothing.
  bool ReceiveNow();
  // Receives some bytes, to where they belong, while nothing is held here. 0: the end.
  size_t ReceiveTo(uint8_t* target, size_t size);

 private:
  ssize_t ReceiveOnce(uint8_t* target, size_t size, int flags);
  void DropLarge();

  // About 580 requests, or 3 with a payload of 4 KiB. Pages of it that nothing was received into
  // cost nothing.
  static constexpr size_t kSmallBytes = 16 << 10;

  const int fd_;
  std::vector<uint8_t> early_;
  size_t early_at_ = 0;
  uint8_t* bytes_ = small_;
  size_t capacity_ = kSmallBytes;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint8_t small_[kSmallBytes];
};

}  // namespace copse
