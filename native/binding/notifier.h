// An object that tells JavaScript of events while it is open: Environment::Open, ::Wake, ::Close.
#pragma once

#include <node_api.h>

#include <memory>

namespace copse {

class Notifier : public std::enable_shared_from_this<Notifier> {
 public:
  virtual ~Notifier() = default;
  // Calls JavaScript, on the environment's thread: once for all Wake calls before it.
  virtual void Notify(napi_env env) = 0;
  // Called when the environment goes. Ends all threads that may call Wake, and waits for them.
  virtual void Stop() = 0;
};

}  // namespace copse
