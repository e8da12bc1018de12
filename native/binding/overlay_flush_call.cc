#include "overlay_flush_call.h"

#include <atomic>
#include <utility>

#include "error.h"
#include "overlay_file_class.h"

namespace copse {

class FlushJob final : public Job {
 public:
  FlushJob(std::shared_ptr<FileHandle> file, std::vector<napi_deferred> callers)
      : file_(std::move(file)), core_(Overlay().core), callers_(std::move(callers)) {}

  // Before it takes what is dirty: whoever is told so comes before that.
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
    FlushTurns& turns = Overlay().flushes;
    turns.current = nullptr;
    if (!turns.waiting.empty()) Start(env, file_);
    for (const napi_deferred caller : callers_) {
      Answer(env, caller);
      CallEnded(env, file_);
    }
  }

 public:
  // One for those who wait.
  static void Start(napi_env env, const std::shared_ptr<FileHandle>& file) {
    FlushTurns& turns = static_cast<OverlayHandle*>(file.get())->flushes;
    turns.current = new FlushJob(file, std::exchange(turns.waiting, {}));
    Environment::Of(env)->Submit(turns.current, PoolLane::kSync);
  }

 private:
  OverlayHandle& Overlay() { return *static_cast<OverlayHandle*>(file_.get()); }

  void Answer(napi_env env, napi_deferred caller) {
    napi_value value = nullptr;
    if (status_.ok()) {
      if (napi_get_undefined(env, &value) == napi_ok) napi_resolve_deferred(env, caller, value);
    } else {
      value = MakeSystemError(env, status_, file_->PathOf(status_));
      if (value != nullptr) napi_reject_deferred(env, caller, value);
    }
  }

  const std::shared_ptr<FileHandle> file_;
  std::shared_ptr<OverlayFile> core_;
  std::vector<napi_deferred> callers_;
  std::atomic<bool> begun_{false};
  Status status_;
};

napi_value FlushOverlay(napi_env env, const std::shared_ptr<FileHandle>& file) {
  napi_deferred caller;
  napi_value promise;
  if (napi_create_promise(env, &caller, &promise) != napi_ok) return nullptr;
  file->under_way += 1;
  FlushTurns& turns = static_cast<OverlayHandle*>(file.get())->flushes;
  if (turns.current != nullptr && turns.current->Join(caller)) return promise;
  turns.waiting.push_back(caller);
  if (turns.current == nullptr) FlushJob::Start(env, file);
  return promise;
}

}  // namespace copse
