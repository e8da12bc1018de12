// Small calls on one file, one after the other on one thread of the pool.
//
// A call that is submitted while that thread is busy costs no wake-up, and finished calls are
// handed back in handfuls: for calls of a few microseconds the hops between threads cost more than
// the work. The kernel would not run two writes to one file beside each other anyway.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "../core/thread_pool.h"

namespace copse {

class Environment;
class Job;

class JobQueue {
 public:
  JobQueue() = default;
  JobQueue(const JobQueue&) = delete;

 private:
  friend class Environment;
  friend class QueueRunner;
  // Takes the job over. True: no runner is at work on the queue, and the caller has to submit one.
  bool Add(Job* job);
  // Takes the next handful. When there is none, the queue has no runner any more.
  void Take(std::vector<Job*>* handful);

  std::mutex mutex_;
  std::vector<Job*> waiting_;
  size_t taken_ = 0;
  bool has_runner_ = false;
};

// Works on a queue until it is empty or its turn is over. Then other tasks of its lane have theirs.
class QueueRunner final : public Task {
 public:
  QueueRunner(Environment* environment, std::shared_ptr<JobQueue> queue, PoolLane lane);
  // A runner that has not begun deletes the jobs of its queue.
  ~QueueRunner() override;
  void Run() override;

 private:
  Environment* const environment_;
  const std::shared_ptr<JobQueue> queue_;
  const PoolLane lane_;
  bool begun_ = false;
};

}  // namespace copse
