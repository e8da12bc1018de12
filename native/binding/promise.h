// Promises: made, settled, or settled from the start. Null, with an exception pending, when
// Node-API refuses.
#pragma once

#include <node_api.h>

#include "environment.h"
#include "value.h"

namespace copse {

inline napi_value NewPromise(napi_env env, napi_deferred* deferred) {
  napi_value promise;
  return napi_create_promise(env, deferred, &promise) == napi_ok ? promise : nullptr;
}

// A null value or error leaves the promise pending: JavaScript can't be entered any more.
inline void Resolve(napi_env env, napi_deferred deferred, napi_value value) {
  if (value != nullptr) napi_resolve_deferred(env, deferred, value);
}
inline void Reject(napi_env env, napi_deferred deferred, napi_value error) {
  if (error != nullptr) napi_reject_deferred(env, deferred, error);
}

inline napi_value Resolved(napi_env env, napi_value value) {
  napi_deferred deferred;
  const napi_value promise = value == nullptr ? nullptr : NewPromise(env, &deferred);
  if (promise != nullptr) Resolve(env, deferred, value);
  return promise;
}
inline napi_value Rejected(napi_env env, napi_value error) {
  napi_deferred deferred;
  const napi_value promise = error == nullptr ? nullptr : NewPromise(env, &deferred);
  if (promise != nullptr) Reject(env, deferred, error);
  return promise;
}

// A job with a promise that it resolves with undefined.
class PromiseJob : public Job {
 public:
  // Makes the promise, and hands `job` to the pool.
  static napi_value Launch(napi_env env, PoolLane lane, std::unique_ptr<PromiseJob> job) {
    const napi_value promise = NewPromise(env, &job->deferred_);
    if (promise != nullptr) Environment::Of(env)->Submit(job.release(), lane);
    return promise;
  }

 protected:
  // On the environment's thread, after Work.
  virtual void Finish(napi_env) {}

 private:
  void Settle(napi_env env) final {
    Finish(env);
    Resolve(env, deferred_, UndefinedValue(env));
  }
  napi_deferred deferred_ = nullptr;
};

}  // namespace copse
