#include "drainer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>

#include <cerrno>

#include "reply_writer.h"

namespace copse {

Drainer& Drainer::Shared() {
  static Drainer* const drainer = new Drainer;
  return *drainer;
}

Status Drainer::Start() {
  const MutexLock lock(mutex_);
  return StartNow();
}

Status Drainer::StartNow() {
  if (started_) return {};
  if (!epoll_.valid()) epoll_ = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return {errno, "epoll_create1"};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, ThreadMain, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return {error, "pthread_create"};
  started_ = true;
  pthread_setname_np(thread, "copse-drain");
  pthread_detach(thread);
  return {};
}

bool Drainer::Watch(const std::shared_ptr<ReplyWriter>& writer) {
  const MutexLock lock(mutex_);
  if (!StartNow().ok()) return false;
  const auto [found, added] = watched_.try_emplace(writer.get(), Watched{next_id_, writer->fd()});
  if (added) writers_.emplace(next_id_++, writer);
  epoll_event event{};
  event.events = EPOLLOUT | EPOLLONESHOT;
  event.data.u64 = found->second.id;
  return epoll_ctl(epoll_.get(), added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, writer->fd(), &event) == 0;
}

void Drainer::Forget(const ReplyWriter* writer) {
  const MutexLock lock(mutex_);
  const auto found = watched_.find(writer);
  if (found == watched_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  writers_.erase(found->second.id);
  watched_.erase(found);
}

void* Drainer::ThreadMain(void* drainer) {
  static_cast<Drainer*>(drainer)->Work();
  return nullptr;
}

void Drainer::Work() {
  constexpr int kMostEvents = 64;
  epoll_event events[kMostEvents];
  while (true) {
    const int count = epoll_wait(epoll_.get(), events, kMostEvents, -1);
    for (int i = 0; i < count; i += 1) {
      // A copy: epoll_event is packed, and `find` takes a reference, which has to be aligned.
      const uint64_t id = events[i].data.u64;
      std::shared_ptr<ReplyWriter> writer;
      {
        const MutexLock lock(mutex_);
        const auto found = writers_.find(id);
        if (found != writers_.end()) writer = found->second.lock();
      }
      if (writer != nullptr) writer->Drain();
    }
  }
}

}  // namespace copse
