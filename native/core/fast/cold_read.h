// Reads that have to wait for the disk, on the pool's threads, so that the hits behind them on their connection don't. What can't be answered after all goes up.
//
// Small ones are read in groups, by one thread after the other: when they come here the disk has been asked for all of them (preadv2(2): with RWF_NOWAIT, too, the kernel begins to read), and waiting for
// eight in turn takes no longer than for the last of them. To wake a thread for each costs more than all else in reading it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "request_frame.h"

namespace copse {

class ColdGroup;
struct LaneShared;

class ColdReads {
 public:
  // At once, from when a read is begun until its reply has left.
  static constexpr size_t kMostRequests = 64;
  static constexpr size_t kMostBytes = 16 << 20;
  // Of all lanes together: clients that ask and do not read must not take the memory of the host.
  static constexpr size_t kMostBytesOfAll = 256 << 20;

  static constexpr size_t kMostGrouped = 8;

  ColdReads();
  ~ColdReads();
  // The lane's thread. `header` is the request as it came; `begun`: the disk was asked, so it may wait for others until Submit. False: too many are under way, or no memory.
  bool Start(const std::shared_ptr<LaneShared>& lane, const Request& request, const uint8_t* header, bool begun);
  // The lane's thread, before it waits for anything, or sends.
  void Submit();
  // The lane's thread: until every one has an answer on its way, or went up, or Shut.
  void WaitForAll();
  void Shut();
  // After Shut, when no Start comes any more: takes back what has not begun, and waits for the rest.
  void Stop();

  // A reply has left.
  void Sent(size_t cost);

 private:
  friend class ColdGroup;
  void Done(size_t count);

  static std::atomic<size_t> bytes_of_all_;
  // The lane's thread's: what is not submitted yet.
  std::unique_ptr<ColdGroup> group_;
  std::atomic<size_t> requests_{0};
  std::atomic<size_t> bytes_{0};
  std::mutex mutex_;
  std::condition_variable done_;
  size_t under_way_ = 0;
  bool shut_ = false;
};

}  // namespace copse
