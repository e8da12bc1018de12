// Something that tells JavaScript of events, for as long as it is open: Environment::Open, ::Wake, ::Close.
#pragma once

#include <node_api.h>

#include <memory>

namespace copse {

class Notifier : public std::enable_shared_from_this<Notifier> {
 public:
  virtual ~Notifier() = default;
  // Calls JavaScript. On the environment's thread, once for any number of Wake calls before it.
  virtual void Notify(napi_env env) = 0;
  // The environment goes: ends all threads that may call Wake, and waits for them.
  virtual void Stop() = 0;
};

}  // namespace copse
