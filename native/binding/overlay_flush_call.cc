#include "overlay_flush_call.h"

#include <atomic>
#include <memory>
#include <utility>

#include "error.h"
#include "overlay_file_class.h"
#include "promise.h"

namespace copse {

class FlushJob final : public Job {
 public:
  // Submits one flush for all calls that wait.
  static void Start(napi_env env, OverlayHandle& file) {
    file.flushes.current = new FlushJob(file);
    Environment::Of(env)->Submit(file.flushes.current, PoolLane::kSync);
  }

  // True if the flush serves this call too: it has not begun to take what is dirty.
  bool Join(napi_deferred caller) {
    if (begun_.load(std::memory_order_seq_cst)) return false;
    callers_.push_back(caller);
    return true;
  }

 protected:
  void Work() override {
    begun_.store(true, std::memory_order_seq_cst);
    status_ = core_->Flush();
    core_.reset();
  }

  void Settle(napi_env env) override {
    OverlayHandle& file = static_cast<OverlayHandle&>(*file_);
    file.flushes.current = nullptr;
    if (!file.flushes.waiting.empty()) Start(env, file);
    for (const napi_deferred caller : callers_) {
      if (status_.ok()) {
        Resolve(env, caller, UndefinedValue(env));
      } else {
        Reject(env, caller, MakeSystemError(env, status_, file.PathOf(status_)));
      }
      CallEnded(env, file);
    }
  }

 private:
  explicit FlushJob(OverlayHandle& file)
      : file_(file.shared_from_this()), core_(file.core), callers_(std::exchange(file.flushes.waiting, {})) {}

  const std::shared_ptr<FileHandle> file_;
  std::shared_ptr<OverlayFile> core_;
  std::vector<napi_deferred> callers_;
  std::atomic<bool> begun_{false};
  Status status_;
};

napi_value FlushOverlay(napi_env env, OverlayHandle& file) {
  napi_deferred caller;
  const napi_value promise = NewPromise(env, &caller);
  if (promise == nullptr) return nullptr;
  file.under_way += 1;
  FlushTurns& turns = file.flushes;
  if (turns.current != nullptr && turns.current->Join(caller)) return promise;
  turns.waiting.push_back(caller);
  if (turns.current == nullptr) FlushJob::Start(env, file);
  return promise;
}

}  // namespace copse
