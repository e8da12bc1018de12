#include "file_handle.h"

#include "environment.h"
#include "promise.h"

namespace copse {
namespace {

class CloseJob final : public Job {
 public:
  explicit CloseJob(FileHandle& file) : file_(file.shared_from_this()), core_(file.Detach()) {}

 protected:
  void Work() override { core_.reset(); }
  void Settle(napi_env env) override {
    file_->closed = true;
    for (napi_deferred closer : file_->closers) Resolve(env, closer, UndefinedValue(env));
    file_->closers.clear();
  }

 private:
  const std::shared_ptr<FileHandle> file_;
  std::shared_ptr<void> core_;
};

void BeginClose(napi_env env, FileHandle& file) {
  Environment::Of(env)->Submit(new CloseJob(file), PoolLane::kSync);
}

}  // namespace

napi_value CloseFile(const Arguments& arguments, FileHandle& file) {
  const napi_env env = arguments.env();
  if (file.closed) return Resolved(env, UndefinedValue(env));
  napi_deferred closer;
  const napi_value promise = NewPromise(env, &closer);
  if (promise == nullptr) return nullptr;
  file.closers.push_back(closer);
  if (file.closing) return promise;
  file.closing = true;
  if (file.under_way == 0) BeginClose(env, file);
  return promise;
}

void CallEnded(napi_env env, FileHandle& file) {
  file.under_way -= 1;
  if (file.closing && file.under_way == 0) BeginClose(env, file);
}

}  // namespace copse
