// One asynchronous call on a file: its promise, the buffer that it uses, and its result. Its `work`
// is a callable `void(Result*)`, which runs on a thread of the pool and owns by its captures all
// that it touches.
#pragma once

#include <node_api.h>

#include <memory>
#include <utility>
#include <vector>

#include "../core/status.h"
#include "environment.h"
#include "file_handle.h"

namespace copse {

struct Result {
  enum class Kind { kNothing, kBoolean, kNumber, kNumbers };
  Status status;
  Kind kind = Kind::kNothing;
  double number = 0;
  std::vector<double> numbers;

  void SetBoolean(bool value) {
    kind = Kind::kBoolean;
    number = value ? 1 : 0;
  }
  void SetNumber(double value) {
    kind = Kind::kNumber;
    number = value;
  }
};

class FileJob : public Job {
 public:
  // Makes the promise and holds on to `buffer` (null for none). Null, with an exception pending,
  // when Node-API refuses.
  napi_value Begin(napi_env env, FileHandle& file, napi_value buffer);

 protected:
  void Settle(napi_env env) final;
  // Frees what the work owns (pins, busy marks), so that JavaScript finds it free when the promise
  // settles.
  virtual void Forget() = 0;
  Result result_;

 private:
  std::shared_ptr<FileHandle> file_;
  napi_deferred deferred_ = nullptr;
  napi_ref buffer_ = nullptr;
};

template <class Callable>
class CallableJob final : public FileJob {
 public:
  explicit CallableJob(Callable&& work) : work_(std::make_unique<Callable>(std::move(work))) {}

 protected:
  void Work() override {
    (*work_)(&result_);
    work_.reset();
  }
  void Forget() override { work_.reset(); }

 private:
  std::unique_ptr<Callable> work_;
};

// Begins a call and returns its promise. With a queue the call runs behind the queue's other calls.
template <class Callable>
napi_value Launch(napi_env env, FileHandle& file, PoolLane lane, napi_value buffer, Callable work,
                  const std::shared_ptr<JobQueue>& queue = nullptr) {
  auto job = std::make_unique<CallableJob<Callable>>(std::move(work));
  const napi_value promise = job->Begin(env, file, buffer);
  if (promise == nullptr) return nullptr;
  if (queue) {
    Environment::Of(env)->Submit(job.release(), lane, queue);
  } else {
    Environment::Of(env)->Submit(job.release(), lane);
  }
  return promise;
}

}  // namespace copse
