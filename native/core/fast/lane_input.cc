#include "lane_input.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace copse {

void LaneInput::DropLarge() {
  if (bytes_ == small_) return;
  BufferList::Inputs().Give(bytes_, static_cast<size_t>(fd_));
  bytes_ = small_;
  capacity_ = kSmallBytes;
}

bool LaneInput::Reserve(size_t whole) {
  if (capacity_ - begin_ >= whole) return true;
  const size_t held = size();
  if (capacity_ >= whole) {
    memmove(bytes_, data(), held);
  } else {
    uint8_t* const large = BufferList::Inputs().Take(static_cast<size_t>(fd_));
    if (large == nullptr) return false;
    memcpy(large, data(), held);
    bytes_ = large;
    capacity_ = BufferList::kInputBytes;
  }
  begin_ = 0;
  end_ = held;
  return true;
}

ssize_t LaneInput::ReceiveOnce(uint8_t* target, size_t size, int flags) {
  if (early_at_ < early_.size()) {
    const size_t part = std::min(size, early_.size() - early_at_);
    memcpy(target, early_.data() + early_at_, part);
    early_at_ += part;
    if (early_at_ == early_.size()) std::vector<uint8_t>().swap(early_);
    if (early_.empty()) early_at_ = 0;
    return static_cast<ssize_t>(part);
  }
  while (true) {
    const ssize_t count = recv(fd_, target, size, flags);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || (flags & MSG_DONTWAIT) != 0) return -1;
    // The lane's socket is blocking. Another process that shares its file description may have made
    // it non-blocking, so the lane waits here then.
    pollfd entry{fd_, POLLIN, 0};
    poll(&entry, 1, -1);
  }
}

bool LaneInput::Receive() {
  if (size() == 0) {
    begin_ = end_ = 0;
    if (bytes_ != small_) {
      // A client that sends much goes on for the price of one call. An idle connection gives the
      // buffer back before it waits.
      const ssize_t count = ReceiveOnce(bytes_, capacity_, MSG_DONTWAIT);
      if (count > 0) {
        end_ = static_cast<size_t>(count);
        return true;
      }
      if (count == 0 || errno != EAGAIN) return false;
      DropLarge();
    }
  } else if (capacity_ - end_ < kSmallBytes / 4 && begin_ > 0) {
    const size_t held = size();
    memmove(bytes_, data(), held);
    begin_ = 0;
    end_ = held;
  }
  const ssize_t count = ReceiveOnce(bytes_ + end_, capacity_ - end_, 0);
  if (count <= 0) return false;
  end_ += static_cast<size_t>(count);
  return true;
}

bool LaneInput::ReceiveNow() {
  if (end_ == capacity_) return false;
  // The next Receive sees an end or a failure.
  const ssize_t count = ReceiveOnce(bytes_ + end_, capacity_ - end_, MSG_DONTWAIT);
  if (count <= 0) return false;
  end_ += static_cast<size_t>(count);
  return true;
}

size_t LaneInput::ReceiveTo(uint8_t* target, size_t size) {
  const ssize_t count = ReceiveOnce(target, size, 0);
  return count <= 0 ? 0 : static_cast<size_t>(count);
}

}  // namespace copse
