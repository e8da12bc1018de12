#include "thread_pool.h"

#include <signal.h>

#include <algorithm>

namespace copse {

ThreadPool::ThreadPool(size_t max_threads)
    : max_threads_(max_threads), lanes_{{{max_threads}, {std::max<size_t>(1, max_threads * 3 / 8)}, {std::max<size_t>(1, max_threads * 3 / 8)}}} {}

ThreadPool& ThreadPool::Shared() {
  static ThreadPool* const pool = new ThreadPool(8);
  return *pool;
}

void ThreadPool::Submit(Task* task, PoolLane lane, const void* owner) {
  pthread_mutex_lock(&mutex_);
  // As many threads as there is work for, since a sleeping one may already be meant for an earlier
  // entry.
  const bool enough = idle_ > queued_;
  if (!enough && threads_ < max_threads_ && !StartThread()) {
    pthread_mutex_unlock(&mutex_);
    task->Run();
    return;
  }
  lanes_[static_cast<size_t>(lane)].entries.push_back({task, owner});
  queued_ += 1;
  pthread_mutex_unlock(&mutex_);
  // The woken thread needs the mutex at once.
  pthread_cond_signal(&wake_);
}

bool ThreadPool::StartThread() {
  // Signals are the main thread's; new threads inherit the mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, nullptr, ThreadMain, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) {
    pthread_setname_np(thread, "copse-io");
    pthread_detach(thread);
    threads_ += 1;
  }
  return threads_ > 0;
}

void* ThreadPool::ThreadMain(void* pool) {
  static_cast<ThreadPool*>(pool)->Work();
  return nullptr;
}

ThreadPool::Queue* ThreadPool::NextReady(size_t* last) {
  for (size_t i = 1; i <= lanes_.size(); i += 1) {
    const size_t at = (*last + i) % lanes_.size();
    if (!lanes_[at].Ready()) continue;
    *last = at;
    return &lanes_[at];
  }
  return nullptr;
}

void ThreadPool::Work() {
  size_t last = lanes_.size() - 1;
  pthread_mutex_lock(&mutex_);
  while (true) {
    Queue* lane = NextReady(&last);
    if (lane == nullptr) {
      idle_ += 1;
      pthread_cond_wait(&wake_, &mutex_);
      idle_ -= 1;
      continue;
    }
    Task* const task = lane->entries.front().task;
    lane->entries.pop_front();
    lane->running += 1;
    queued_ -= 1;
    pthread_mutex_unlock(&mutex_);
    task->Run();
    pthread_mutex_lock(&mutex_);
    // This thread looks at the lane again itself, so it wakes no other thread for the place that it
    // gives up.
    lane->running -= 1;
  }
}

std::deque<Task*> ThreadPool::TakeBack(const void* owner) {
  std::deque<Task*> taken;
  pthread_mutex_lock(&mutex_);
  for (Queue& lane : lanes_) {
    std::deque<Entry> kept;
    for (const Entry& entry : lane.entries) {
      if (entry.owner == owner) {
        taken.push_back(entry.task);
      } else {
        kept.push_back(entry);
      }
    }
    queued_ -= lane.entries.size() - kept.size();
    lane.entries.swap(kept);
  }
  pthread_mutex_unlock(&mutex_);
  return taken;
}

}  // namespace copse
