// The addon's own threads. libuv's four belong to Node (DNS, zlib, fs), and one fdatasync there
// would hold up all of that.
//
// Three lanes with a bound each, so that a disk that syncs, or a kernel that throttles writers,
// never takes the threads that reads need. Of 8 threads, writes have at most 3 at a time, syncs
// (evict and close too) at most 3, and reads the others, at least 2. Lanes take turns; within one,
// tasks run in the order in which they came. Threads start when there is work for them and stay.
// The queues have no bound of their own: the callers bound their requests.
#pragma once

#include <pthread.h>

#include <array>
#include <cstddef>
#include <deque>

namespace copse {

enum class PoolLane { kRead = 0, kWrite = 1, kSync = 2 };

class Task {
 public:
  virtual ~Task() = default;
  // On a thread of the pool. The pool does not touch the task afterwards: its owner may delete it
  // at once.
  virtual void Run() = 0;
};

class ThreadPool {
 public:
  explicit ThreadPool(size_t max_threads);
  ThreadPool(const ThreadPool&) = delete;
  // The process's pool, of 8 threads. Never destroyed: its threads may outlive `main`.
  static ThreadPool& Shared();

  // `owner` is the key for TakeBack. Runs the task on the caller's thread if the system gives no
  // thread at all.
  void Submit(Task* task, PoolLane lane, const void* owner);
  // Takes back the tasks that have not begun; they belong to the caller again.
  std::deque<Task*> TakeBack(const void* owner);

 private:
  struct Entry {
    Task* task;
    const void* owner;
  };
  struct Queue {
    size_t max_running;
    size_t running = 0;
    std::deque<Entry> entries{};
    bool Ready() const { return !entries.empty() && running < max_running; }
  };
  static void* ThreadMain(void* pool);
  void Work();
  // With the mutex held: the lane to serve after lane `last`, or null when no task may run.
  Queue* NextReady(size_t* last);
  // With the mutex held. False when there is not a single thread.
  bool StartThread();

  const size_t max_threads_;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake_ = PTHREAD_COND_INITIALIZER;
  std::array<Queue, 3> lanes_;
  size_t queued_ = 0;
  size_t threads_ = 0;
  size_t idle_ = 0;
};

}  // namespace copse
