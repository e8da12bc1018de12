// NativeLane: a connection's lane (core/fast/lane.h) as JavaScript holds it.
//
// The lane's threads tell events, which gather as bits. The environment is woken once for all lanes
// that have something to tell. Pieces of a Send that did not leave at once are referenced until
// they did. A lane that JavaScript forgot, or whose environment is torn down, is stopped.
#pragma once

#include <node_api.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "../core/fast/lane.h"
#include "environment.h"
#include "native_class.h"

namespace copse {

class LaneHandle final : public LaneHost, public Notifier {
 public:
  explicit LaneHandle(Environment* environment) : environment_(environment) {}
  ~LaneHandle() override = default;
  static LaneHandle* From(void* wrapped) { return SharedIn<LaneHandle>(wrapped); }
  static constexpr const char* path = "lane";
  bool IsClosed() const { return !lane || stopping; }
  std::shared_ptr<LaneHandle> Shared() { return std::static_pointer_cast<LaneHandle>(shared_from_this()); }

  // From any thread.
  void OnInput() override { Tell(kInput); }
  void OnSent() override { Tell(kSent); }
  void OnQuiet() override { Tell(kQuiet); }

  // A Notifier's, on the environment's thread.
  void Notify(napi_env env) override;
  void Stop() override;

  // --- The environment's thread only. ---

  std::shared_ptr<Lane> lane;
  // The function that is called with events.
  napi_ref on_event = nullptr;
  // The array of pieces that are being sent; null if none are.
  napi_ref pieces = nullptr;
  // True from `stop` on.
  bool stopping = false;

  static constexpr napi_type_tag kTag = {0x4c9e1f7a2d6b4083, 0xb25f90e3c71a6d48};
  Environment* environment() const { return environment_; }

  static constexpr uint32_t kInput = 1, kSent = 2, kQuiet = 4;

 private:
  void Tell(uint32_t event);
  Environment* const environment_;
  // Bits that were told and not yet passed on. Any thread.
  std::atomic<uint32_t> events_{0};
  // Any thread that stops: under the mutex.
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

}  // namespace copse
