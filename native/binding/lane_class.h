// NativeLane: a connection's lane (core/fast/lane.h) as JavaScript holds it.
//
// What the lane tells, from its own threads, gathers as bits; the environment is woken once for all lanes that have something to tell. Pieces of a Send that did not leave at
// once are referenced until they did. A lane that JavaScript forgot, or whose environment is torn down, is stopped.
#pragma once

#include <node_api.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "../core/fast/lane.h"
#include "environment.h"

namespace copse {

class LaneHandle final : public LaneHost, public Notifier {
 public:
  explicit LaneHandle(Environment* environment) : environment_(environment) {}
  ~LaneHandle() override = default;

  // Any thread.
  void OnInput() override { Tell(kInput); }
  void OnSent() override { Tell(kSent); }
  void OnQuiet() override { Tell(kQuiet); }

  // Notifier, on the environment's thread.
  void Notify(napi_env env) override;
  void Stop() override;

  // The environment's thread only.
  std::shared_ptr<Lane> lane;
  // Calls back: function(events).
  napi_ref on_event = nullptr;
  // The array of pieces that are being sent.
  napi_ref pieces = nullptr;
  bool stopping = false;
  Environment* environment() const { return environment_; }

  static constexpr uint32_t kInput = 1, kSent = 2, kQuiet = 4;

 private:
  void Tell(uint32_t event);
  Environment* const environment_;
  std::atomic<uint32_t> events_{0};
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

}  // namespace copse
