#include "lane_queue.h"

#include <algorithm>
#include <cstring>

#include "buffer_list.h"

namespace copse {

namespace {

size_t Hint(const void* owner) { return reinterpret_cast<uintptr_t>(owner) >> 6; }

}  // namespace

LaneQueue::~LaneQueue() {
  for (const Chunk& chunk : chunks_) BufferList::Waiting().Give(chunk.bytes, Hint(this));
}

LaneQueue::Chunk* LaneQueue::Tail() {
  if (chunks_.empty() || chunks_.back().end == BufferList::kWaitingBytes) {
    uint8_t* const bytes = BufferList::Waiting().Take(Hint(this));
    if (bytes == nullptr) {
      shut_ = true;
      return nullptr;
    }
    chunks_.push_back({bytes, 0, 0});
  }
  return &chunks_.back();
}

size_t LaneQueue::Append(const uint8_t* bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    Chunk* const tail = Tail();
    if (tail == nullptr) break;
    const size_t part = std::min(size - done, BufferList::kWaitingBytes - tail->end);
    memcpy(tail->bytes + tail->end, bytes + done, part);
    tail->end += part;
    done += part;
  }
  size_ += done;
  return done;
}

void LaneQueue::EndRequest() {
  amid_ = false;
  if (late_.empty()) return;
  Append(late_.data(), late_.size());
  late_.clear();
}

size_t LaneQueue::Push(const uint8_t* bytes, size_t size, uint64_t left) {
  const MutexLock lock(mutex_);
  if (shut_ || size_ >= max_bytes_) return 0;
  const size_t taken = Append(bytes, std::min(size, max_bytes_ - size_));
  amid_ = true;
  if (taken == left) EndRequest();
  return taken;
}

uint8_t* LaneQueue::Room(size_t* size) {
  const MutexLock lock(mutex_);
  if (shut_ || size_ >= max_bytes_) return nullptr;
  Chunk* const tail = Tail();
  if (tail == nullptr) return nullptr;
  receiving_ = true;
  *size = std::min(BufferList::kWaitingBytes - tail->end, max_bytes_ - size_);
  return tail->bytes + tail->end;
}

void LaneQueue::Commit(size_t size, uint64_t left) {
  const MutexLock lock(mutex_);
  receiving_ = false;
  chunks_.back().end += size;
  size_ += size;
  if (left == 0) EndRequest();
}

bool LaneQueue::WaitForRoom() {
  const MutexLock lock(mutex_);
  waiting_ = true;
  while (!shut_ && size_ >= max_bytes_) room_.Wait(mutex_);
  waiting_ = false;
  return !shut_;
}

void LaneQueue::End() {
  const MutexLock lock(mutex_);
  over_ = true;
}

void LaneQueue::PushBetween(const uint8_t* bytes, size_t size) {
  const MutexLock lock(mutex_);
  // After Shut the lane ends without waiting for cold reads, and the host that was told of the end
  // takes no more.
  if (over_) return;
  if (amid_) {
    late_.insert(late_.end(), bytes, bytes + size);
  } else {
    Append(bytes, size);
  }
}

bool LaneQueue::MustTell() {
  const MutexLock lock(mutex_);
  if (told_ || (size_ == 0 && !over_)) return false;
  told_ = true;
  return true;
}

size_t LaneQueue::Take(uint8_t* target, size_t size, bool* over) {
  const MutexLock lock(mutex_);
  told_ = false;
  size_t done = 0;
  while (done < size && size_ > 0) {
    Chunk& chunk = chunks_.front();
    const size_t part = std::min(size - done, chunk.end - chunk.begin);
    memcpy(target + done, chunk.bytes + chunk.begin, part);
    chunk.begin += part;
    done += part;
    size_ -= part;
    if (chunk.begin < chunk.end || (receiving_ && chunks_.size() == 1)) continue;
    BufferList::Waiting().Give(chunk.bytes, Hint(this));
    chunks_.pop_front();
  }
  *over = over_ && size_ == 0;
  if (waiting_ && size_ < max_bytes_) room_.NotifyOne();
  return done;
}

size_t LaneQueue::size() {
  const MutexLock lock(mutex_);
  return size_;
}

void LaneQueue::Shut() {
  const MutexLock lock(mutex_);
  shut_ = true;
  room_.NotifyOne();
}

}  // namespace copse
