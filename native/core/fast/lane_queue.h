// What goes up from a lane to its host: a stream of bytes, bounded. Filled by the lane's thread, emptied by the host; cold reads that could not be answered put their request
// between two others.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

namespace copse {

class LaneQueue {
 public:
  explicit LaneQueue(size_t most_bytes) : most_bytes_(most_bytes == 0 ? 1 : most_bytes) {}
  LaneQueue(const LaneQueue&) = delete;
  ~LaneQueue();

  // The lane's thread. `left`: how many bytes the request has from here on. Returns how many were taken: fewer when it is full.
  size_t Push(const uint8_t* bytes, size_t size, uint64_t left);
  // Where the next bytes may be put, to be followed by Commit of as many as were, `left` as above without them. Null: it is full.
  uint8_t* Room(size_t* size);
  void Commit(size_t size, uint64_t left);
  // False: shut.
  bool WaitForRoom();
  // Nothing is put any more.
  void End();

  // A whole request, from any thread; behind the end it is dropped.
  void PushBetween(const uint8_t* bytes, size_t size);
  // Whether the host is to be told: something waits that it has not been told of since it took the last.
  bool MustTell();

  // The host. `*over`: there will be no more.
  size_t Take(uint8_t* target, size_t size, bool* over);
  size_t size();
  void Shut();

 private:
  // Part of the bytes, in a buffer of BufferList::Waiting.
  struct Chunk {
    uint8_t* bytes;
    size_t begin;
    size_t end;
  };
  // With the mutex held. Null: no memory, which ends the lane as Shut does.
  Chunk* Tail();
  size_t Append(const uint8_t* bytes, size_t size);
  void EndRequest();

  const size_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<Chunk> chunks_;
  size_t size_ = 0;
  // Of the request that is being put there is more to come; those that want to come between wait in `late_`.
  bool amid_ = false;
  std::vector<uint8_t> late_;
  // The lane's thread receives into the last chunk.
  bool receiving_ = false;
  bool waiting_ = false;
  bool told_ = false;
  bool over_ = false;
  bool shut_ = false;
};

}  // namespace copse
