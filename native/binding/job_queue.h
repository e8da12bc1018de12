// Small calls on one file, one after the other on one thread of the pool. What is submitted while that thread is busy costs no wake-up, and what it
// has finished is handed back in handfuls: for calls of a few microseconds the hops between threads cost more than the work. Writes to one file
// don't run beside each other in the kernel anyway.
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
  // Takes the job over. True: nobody is at work on the queue, and a runner must be.
  bool Add(Job* job);
  // The next handful. When there is none the queue has no runner any more.
  void Take(std::vector<Job*>* handful);

  std::mutex mutex_;
  std::vector<Job*> waiting_;
  size_t taken_ = 0;
  bool has_runner_ = false;
};

// Works on a queue until it is empty, or for a while: then others of its lane have their turn.
class QueueRunner final : public Task {
 public:
  QueueRunner(Environment* environment, std::shared_ptr<JobQueue> queue, PoolLane lane);
  // One that has not begun takes the jobs of its queue with it.
  ~QueueRunner() override;
  void Run() override;

 private:
  Environment* const environment_;
  const std::shared_ptr<JobQueue> queue_;
  const PoolLane lane_;
  bool begun_ = false;
};

}  // namespace copse
