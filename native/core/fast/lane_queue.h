// The bounded stream of bytes that goes up from a lane to its host.
//
// The lane's thread fills it and the host empties it. A cold read that could not be answered puts
// its request between two others: when a request is put in parts, it waits for the last part.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "../mutex.h"
#include "thread_role.h"

namespace copse {

class LaneQueue {
 public:
  explicit LaneQueue(size_t max_bytes) : max_bytes_(max_bytes == 0 ? 1 : max_bytes) {}
  LaneQueue(const LaneQueue&) = delete;
  ~LaneQueue();

  // Appends bytes of one request; `left` counts its bytes from here on. Returns how many it took:
  // fewer when the queue is full.
  size_t Push(const uint8_t* bytes, size_t size, uint64_t left) REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // The place for the next bytes, of `*size` at most. Commit follows and says how many there are;
  // its `left` counts the bytes of the request behind them. Null: the queue is full.
  uint8_t* Room(size_t* size) REQUIRES(kLaneThread) EXCLUDES(mutex_);
  void Commit(size_t size, uint64_t left) REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // Blocks until the host has taken bytes. False: the lane was shut.
  bool WaitForRoom() REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // The input is over: no Push and no Room follow, and PushBetween drops its request.
  void End() REQUIRES(kLaneThread) EXCLUDES(mutex_);

  // Puts a whole request between two others. From the pool.
  void PushBetween(const uint8_t* bytes, size_t size) EXCLUDES(mutex_);
  // True if something waits that the host was not told of since its last Take. Counts as telling
  // it.
  bool MustTell() EXCLUDES(mutex_);

  // Takes up to `size` bytes. `*over`: no more will come.
  size_t Take(uint8_t* target, size_t size, bool* over) REQUIRES(kHostThread) EXCLUDES(mutex_);
  size_t size() EXCLUDES(mutex_);
  void Shut() EXCLUDES(mutex_);

 private:
  // A buffer of BufferList::Waiting; bytes [begin, end) of it wait.
  struct Chunk {
    uint8_t* bytes;
    size_t begin;
    size_t end;
  };
  // The chunk with room for more. Null: there is no memory, which ends the lane as Shut does.
  Chunk* Tail() REQUIRES(mutex_);
  size_t Append(const uint8_t* bytes, size_t size) REQUIRES(mutex_);
  void EndRequest() REQUIRES(mutex_);

  const size_t max_bytes_;
  Mutex mutex_;
  Condition room_;
  std::deque<Chunk> chunks_ GUARDED_BY(mutex_);
  // Bytes that wait, in all chunks.
  size_t size_ GUARDED_BY(mutex_) = 0;
  // True while a request was put in part. Requests that come between gather in `late_`.
  bool amid_ GUARDED_BY(mutex_) = false;
  std::vector<uint8_t> late_ GUARDED_BY(mutex_);
  // True between Room and Commit: the lane's thread writes behind the last chunk's end.
  bool receiving_ GUARDED_BY(mutex_) = false;
  // True while the lane's thread waits for room.
  bool waiting_ GUARDED_BY(mutex_) = false;
  // True if the host knows that something waits.
  bool told_ GUARDED_BY(mutex_) = false;
  bool over_ GUARDED_BY(mutex_) = false;
  bool shut_ GUARDED_BY(mutex_) = false;
};

}  // namespace copse
