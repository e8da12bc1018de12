// One thread for the whole process that goes on sending where a client took no more for a while: it waits for any of their sockets to take bytes again (epoll, one-shot).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "../descriptor.h"
#include "../status.h"

namespace copse {

class ReplyWriter;

class Drainer {
 public:
  Drainer(const Drainer&) = delete;
  // Never destroyed: its thread may outlive `main`.
  static Drainer& Shared();

  // Starts the thread, if there is none yet: before a connection depends on it, since one that has begun cannot do without.
  Status Start();
  // Calls Drain of the writer once, when its socket takes bytes again or has failed. Any number of times. False: the system gives no epoll or no thread.
  bool Watch(const std::shared_ptr<ReplyWriter>& writer);
  // Before the socket of a watched writer is closed.
  void Forget(const ReplyWriter* writer);

 private:
  Drainer() = default;
  // With the mutex held.
  Status StartNow();
  static void* ThreadMain(void* drainer);
  void Work();

  std::mutex mutex_;
  Descriptor epoll_;
  bool started_ = false;
  // A number each, since an event may come after its writer has gone and another one is where it was.
  struct Watched {
    uint64_t id;
    int fd;
  };
  std::unordered_map<const ReplyWriter*, Watched> watched_;
  std::unordered_map<uint64_t, std::weak_ptr<ReplyWriter>> writers_;
  uint64_t next_id_ = 1;
};

}  // namespace copse
