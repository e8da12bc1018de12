// What the addon keeps for one environment (the main thread, or a worker): jobs that are under way and how their ends come home.
//
// Finished jobs gather in a list; the environment is woken once when the list turns from empty to not empty and settles all of them in
// one turn. Notifiers that have something to tell gather beside them, and wake it the same way. It is referenced only while jobs are under way or
// notifiers open, so an idle addon never keeps a process alive. When the environment is torn down, notifiers are stopped, jobs that have not begun are
// taken back, those that run are waited for (they use its buffers), and none is settled.
#pragma once

#include <node_api.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "../core/descriptor.h"
#include "../core/thread_pool.h"
#include "job_queue.h"
#include "notifier.h"

namespace copse {

class Environment;

// Created, settled and deleted on the environment's thread; its work runs on one of the pool.
class Job : public Task {
 public:
  void Run() final;

 protected:
  virtual void Work() = 0;
  virtual void Settle(napi_env env) = 0;

 private:
  friend class Environment;
  friend class QueueRunner;
  Environment* environment_ = nullptr;
};

class Environment {
 public:
  // Null, with an exception pending, when Node-API refuses.
  static Environment* Attach(napi_env env);
  static Environment* Of(napi_env env);

  // Takes the job over. On the environment's thread only, like all that follows.
  void Submit(Job* job, PoolLane lane);
  // The same, behind the other jobs of a queue. All of a queue's jobs are of one lane.
  void Submit(Job* job, PoolLane lane, const std::shared_ptr<JobQueue>& queue);

  // From here to Close the notifier may wake the environment, and keeps it alive.
  void Open(const std::shared_ptr<Notifier>& notifier);
  void Close(const std::shared_ptr<Notifier>& notifier);
  // From any thread: Notify is called soon.
  void Wake(Notifier* notifier);

  // The classes of open files, and what the constructor that runs just now is to wrap (files are made by the open calls alone).
  napi_ref block_file_class = nullptr;
  napi_ref chunk_file_class = nullptr;
  napi_ref overlay_file_class = nullptr;
  napi_ref lane_class = nullptr;
  napi_ref lease_class = nullptr;
  void* pending_native = nullptr;
  napi_finalize pending_finalize = nullptr;

  // Locks held, by descriptor.
  std::map<int, Descriptor> locks;

 private:
  friend class Job;
  friend class QueueRunner;
  explicit Environment(napi_env env) : env_(env) {}
  static void TearDown(void* environment);
  static void OnWake(napi_env env, napi_value callback, void* context, void* data);
  bool CreateWaker();
  void Begin(Job* job);
  void SubmitTask(Task* task, PoolLane lane);
  void Complete(Job* job);
  void Complete(const std::vector<Job*>& jobs);
  void EndRunner();
  // With the mutex held.
  void EndTask();
  void Drain();
  // One job or notifier more, or fewer, that the environment has to live for.
  void Hold();
  void LetGo(size_t count);
  // With the mutex held.
  void CallWaker();

  napi_env env_;
  napi_threadsafe_function waker_ = nullptr;
  // Jobs submitted and not settled, and notifiers that are open. The environment's thread only.
  size_t under_way_ = 0;
  std::set<std::shared_ptr<Notifier>> notifiers_;

  std::mutex mutex_;
  std::condition_variable idle_;
  // All under the mutex: tasks (jobs, and runners of queues) submitted and not finished, jobs finished and not settled, notifiers with something to tell, and
  // whether the waker was called for them.
  size_t unfinished_ = 0;
  std::vector<Job*> finished_;
  std::vector<Notifier*> telling_;
  bool woken_ = false;
};

}  // namespace copse
