// One thread for the whole process that goes on sending where a client took no more for a while. It
// waits by epoll(7), one-shot, until one of their sockets takes bytes again.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "../descriptor.h"
#include "../mutex.h"
#include "../status.h"

namespace copse {

class ReplyWriter;

class Drainer {
 public:
  Drainer(const Drainer&) = delete;
  // Never destroyed: its thread may outlive `main`.
  static Drainer& Shared();

  // Starts the thread unless it runs. A lane calls it before it begins, because a lane that has
  // begun can't do without the drainer.
  Status Start() EXCLUDES(mutex_);
  // Calls the writer's Drain once, when its socket takes bytes again or has failed. May be called
  // again for the same writer. False: the system gives no epoll or no thread.
  bool Watch(const std::shared_ptr<ReplyWriter>& writer) EXCLUDES(mutex_);
  // Before the socket of a watched writer is closed.
  void Forget(const ReplyWriter* writer) EXCLUDES(mutex_);

 private:
  Drainer() = default;
  Status StartNow() REQUIRES(mutex_);
  static void* ThreadMain(void* drainer);
  void Work() EXCLUDES(mutex_);

  Mutex mutex_;
  // Written once, before the thread starts; the thread reads it without the mutex.
  Descriptor epoll_;
  bool started_ GUARDED_BY(mutex_) = false;
  // An event carries a number, not a pointer: the event may come after its writer has gone and
  // another writer lies at the same address.
  struct Watched {
    uint64_t id;
    int fd;
  };
  std::unordered_map<const ReplyWriter*, Watched> watched_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, std::weak_ptr<ReplyWriter>> writers_ GUARDED_BY(mutex_);
  uint64_t next_id_ GUARDED_BY(mutex_) = 1;
};

}  // namespace copse
