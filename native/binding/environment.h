// The addon's state for one environment (the main thread, or a worker): the jobs under way, and the
// way of their results back to JavaScript.
//
// Finished jobs gather in a list. The environment is woken once when the list turns from empty to
// not empty, and settles all of them in one turn. Notifiers that have something to tell gather
// beside them and wake it the same way. The environment is referenced only while jobs are under way
// or notifiers open, so an idle addon keeps no process alive.
//
// When the environment is torn down it stops the notifiers, takes back the jobs that have not
// begun, and waits for the others, because they use its buffers. It settles none of them.
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

// Made, settled and deleted on the environment's thread. Its work runs on a thread of the pool.
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

  // --- The environment's thread only. ---

  // Takes the job over.
  void Submit(Job* job, PoolLane lane);
  // The same, behind the other jobs of the queue. All jobs of a queue have one lane of the pool.
  void Submit(Job* job, PoolLane lane, const std::shared_ptr<JobQueue>& queue);

  // From Open to Close the notifier may wake the environment, and keeps it alive.
  void Open(const std::shared_ptr<Notifier>& notifier);
  void Close(const std::shared_ptr<Notifier>& notifier);

  // The classes of native objects.
  napi_ref block_file_class = nullptr;
  napi_ref chunk_file_class = nullptr;
  napi_ref overlay_file_class = nullptr;
  napi_ref lane_class = nullptr;
  napi_ref lease_class = nullptr;
  // The object that the constructor wraps next (native_class.h); null: JavaScript called it.
  void* pending_native = nullptr;
  napi_finalize pending_finalize = nullptr;

  // Locks held, by descriptor.
  std::map<int, Descriptor> locks;

  // --- Any thread. ---

  // Notify is called soon.
  void Wake(Notifier* notifier);

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
  // One job or notifier more, or some fewer, for which the environment has to live.
  void Hold();
  void LetGo(size_t count);
  // With the mutex held.
  void CallWaker();

  napi_env env_;
  napi_threadsafe_function waker_ = nullptr;

  // --- The environment's thread only. ---

  // Jobs that were submitted and not settled, and notifiers that are open.
  size_t under_way_ = 0;
  std::set<std::shared_ptr<Notifier>> notifiers_;

  // --- Any thread, under the mutex. ---

  std::mutex mutex_;
  // Signalled when unfinished_ becomes 0.
  std::condition_variable idle_;
  // Tasks (jobs, and runners of queues) that were submitted and not finished.
  size_t unfinished_ = 0;
  // Jobs that were finished and not settled.
  std::vector<Job*> finished_;
  // Notifiers that have something to tell.
  std::vector<Notifier*> telling_;
  // True if the waker was called and the environment has not drained since.
  bool woken_ = false;
};

}  // namespace copse
