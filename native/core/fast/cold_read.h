// Reads that wait for the disk, on the pool's threads, so that hits behind them on their connection
// do not wait. A read that can't be answered after all goes up.
//
// Small reads go in groups of up to kMostGrouped, one after the other on one thread. The kernel has
// begun to read for all of them when they come here (preadv2(2) with RWF_NOWAIT starts readahead),
// so reading eight in turn takes no longer than the slowest. Waking one thread for each would cost
// more than everything else in the read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "../mutex.h"
#include "request_frame.h"
#include "thread_role.h"

namespace copse {

class ColdGroup;
struct LaneShared;

class ColdReads {
 public:
  // Bounds of one lane's reads that have begun and whose replies have not left.
  static constexpr size_t kMostRequests = 64;
  static constexpr size_t kMostBytes = 16 << 20;
  // Bound of all lanes together: clients that ask and do not read must not take the host's memory.
  static constexpr size_t kMostBytesOfAll = 256 << 20;

  static constexpr size_t kMostGrouped = 8;

  ColdReads();
  ~ColdReads();
  // Begins a read. `header` is the request as it came. `begun`: the kernel reads already, so the
  // read may wait in a group until Submit. False: too many reads have begun, or there is no memory.
  bool Start(const std::shared_ptr<LaneShared>& lane, const Request& request, const uint8_t* header,
             bool begun) REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // Gives the group to the pool: before the lane's thread waits for anything or sends.
  void Submit() REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // Blocks until each read has handed its reply to the writer or gone up, or until Shut.
  void WaitForAll() REQUIRES(kLaneThread) EXCLUDES(mutex_);
  void Shut() EXCLUDES(mutex_);
  // After Shut, when the lane's thread has ended: takes back the groups that have not begun, and
  // waits for the others.
  void Stop() EXCLUDES(mutex_);

  // A reply of `cost` bytes has left, or its read went up. From any thread.
  void Sent(size_t cost);

 private:
  friend class ColdGroup;
  void Done(size_t count) EXCLUDES(mutex_);

  // Every lane's: bytes that have begun and not left.
  static std::atomic<size_t> bytes_of_all_;

  // The lane thread's: reads that were not submitted yet.
  std::unique_ptr<ColdGroup> group_ GUARDED_BY(kLaneThread);

  // Added to by the lane thread, taken from by any thread in Sent.
  std::atomic<size_t> requests_{0};
  std::atomic<size_t> bytes_{0};

  Mutex mutex_;
  Condition done_;
  // Reads that the pool has and has not done.
  size_t under_way_ GUARDED_BY(mutex_) = 0;
  bool shut_ GUARDED_BY(mutex_) = false;
};

}  // namespace copse
