#include "environment.h"

#include <algorithm>

namespace copse {

void Job::Run() {
  Work();
  environment_->Complete(this);
}

Environment* Environment::Attach(napi_env env) {
  auto* const environment = new Environment(env);
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); };
  if (napi_set_instance_data(env, environment, finalize, nullptr) != napi_ok) {
    delete environment;
    return nullptr;
  }
  // The hook is added after the waker. Hooks run in reverse order, so no job is left when the waker
  // goes.
  if (!environment->CreateWaker() || napi_add_env_cleanup_hook(env, TearDown, environment) != napi_ok) return nullptr;
  return environment;
}

Environment* Environment::Of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Environment*>(data);
}

bool Environment::CreateWaker() {
  napi_value name;
  return napi_create_string_utf8(env_, "copse", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, OnWake, &waker_) == napi_ok &&
         napi_unref_threadsafe_function(env_, waker_) == napi_ok;
}

void Environment::Submit(Job* job, PoolLane lane) {
  Begin(job);
  SubmitTask(job, lane);
}

void Environment::Submit(Job* job, PoolLane lane, const std::shared_ptr<JobQueue>& queue) {
  Begin(job);
  if (queue->Add(job)) SubmitTask(new QueueRunner(this, queue, lane), lane);
}

void Environment::Begin(Job* job) {
  job->environment_ = this;
  Hold();
}

void Environment::Hold() {
  if (under_way_ == 0) napi_ref_threadsafe_function(env_, waker_);
  under_way_ += 1;
}

void Environment::LetGo(size_t count) {
  if (count == 0) return;
  under_way_ -= count;
  if (under_way_ == 0) napi_unref_threadsafe_function(env_, waker_);
}

void Environment::Open(const std::shared_ptr<Notifier>& notifier) {
  notifiers_.insert(notifier);
  Hold();
}

void Environment::Close(const std::shared_ptr<Notifier>& notifier) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    telling_.erase(std::remove(telling_.begin(), telling_.end(), notifier.get()), telling_.end());
  }
  if (notifiers_.erase(notifier) > 0) LetGo(1);
}

void Environment::Wake(Notifier* notifier) {
  const std::lock_guard<std::mutex> guard(mutex_);
  telling_.push_back(notifier);
  CallWaker();
}

void Environment::CallWaker() {
  if (woken_) return;
  woken_ = true;
  napi_call_threadsafe_function(waker_, nullptr, napi_tsfn_nonblocking);
}

void Environment::SubmitTask(Task* task, PoolLane lane) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    unfinished_ += 1;
  }
  ThreadPool::Shared().Submit(task, lane, this);
}

void Environment::Complete(Job* job) {
  // All of it under the mutex: the environment may go as soon as the mutex is free and nothing is
  // unfinished.
  const std::lock_guard<std::mutex> guard(mutex_);
  finished_.push_back(job);
  CallWaker();
  EndTask();
}

void Environment::Complete(const std::vector<Job*>& jobs) {
  const std::lock_guard<std::mutex> guard(mutex_);
  finished_.insert(finished_.end(), jobs.begin(), jobs.end());
  CallWaker();
}

void Environment::EndRunner() {
  const std::lock_guard<std::mutex> guard(mutex_);
  EndTask();
}

void Environment::EndTask() {
  unfinished_ -= 1;
  if (unfinished_ == 0) idle_.notify_all();
}

void Environment::OnWake(napi_env env, napi_value, void* context, void*) {
  // `env` is null while the environment is torn down; TearDown has seen to the jobs.
  if (env != nullptr) static_cast<Environment*>(context)->Drain();
}

void Environment::Drain() {
  std::vector<Job*> settling;
  std::vector<std::shared_ptr<Notifier>> telling;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    woken_ = false;
    settling.swap(finished_);
    for (Notifier* notifier : telling_) telling.push_back(notifier->shared_from_this());
    telling_.clear();
  }
  for (const std::shared_ptr<Notifier>& notifier : telling) {
    napi_handle_scope scope;
    // A notifier that was told before may have closed this one.
    if (notifiers_.count(notifier) == 0 || napi_open_handle_scope(env_, &scope) != napi_ok) continue;
    notifier->Notify(env_);
    napi_close_handle_scope(env_, scope);
  }
  for (Job* job : settling) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env_, &scope) == napi_ok) {
      job->Settle(env_);
      napi_close_handle_scope(env_, scope);
    }
    delete job;
  }
  LetGo(settling.size());
}

void Environment::TearDown(void* data) {
  auto* const environment = static_cast<Environment*>(data);
  for (const std::shared_ptr<Notifier>& notifier : environment->notifiers_) notifier->Stop();
  environment->notifiers_.clear();
  environment->telling_.clear();
  const std::deque<Task*> not_begun = ThreadPool::Shared().TakeBack(environment);
  std::unique_lock<std::mutex> guard(environment->mutex_);
  environment->unfinished_ -= not_begun.size();
  environment->idle_.wait(guard, [environment] { return environment->unfinished_ == 0; });
  for (Task* task : not_begun) delete task;
  for (Job* job : environment->finished_) delete job;
  environment->finished_.clear();
}

}  // namespace copse
