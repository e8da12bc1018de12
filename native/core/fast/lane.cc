#include "lane.h"

#include <signal.h>

#include <cerrno>
#include <new>
#include <utility>

#include "drainer.h"
#include "lane_server.h"
#include "lane_shared.h"
#include "tuning/short_slice.h"
#include "tuning/socket_mark.h"

namespace copse {

LaneShared::LaneShared(Descriptor socket, const Lane::Options& options, LaneHost* lane_host)
    : replies(options.replies),
      host(lane_host),
      queue(options.max_input_bytes),
      writer(std::make_shared<ReplyWriter>(std::move(socket), this)) {}

void LaneShared::Shut() {
  shut.store(true, std::memory_order_relaxed);
  queue.Shut();
  cold.Shut();
  writer->Fail();
}

Status Lane::Start(Descriptor socket, const Options& options, const uint8_t* early, size_t early_size, LaneHost* host, std::shared_ptr<Lane>* started) {
  const Status drained = Drainer::Shared().Start();
  if (!drained.ok()) return drained;
  MarkSocket(socket.get(), options.send_buffer_bytes);
  std::shared_ptr<Lane> lane(new (std::nothrow) Lane(std::make_shared<LaneShared>(std::move(socket), options, host)));
  if (lane == nullptr) return {ENOMEM, "lane"};
  lane->early_.assign(early, early + early_size);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, options.stack_bytes);
  // Signals are the main thread's. SIGPIPE, too, is off with that: sendfile(2) has no flag against
  // it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&lane->thread_, &attributes, ThreadMain, lane.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) return {error, "pthread_create"};
  pthread_setname_np(lane->thread_, "copse-lane");
  lane->started_ = true;
  {
    const MutexLock lock(lane->stop_mutex_);
    lane->running_ = true;
  }
  *started = std::move(lane);
  return {};
}

void* Lane::ThreadMain(void* lane) {
  Lane* const self = static_cast<Lane*>(lane);
  kLaneThread.Assert();
  AskForShortSlices();
  LaneServer(self->shared_, std::move(self->early_)).Run();
  return nullptr;
}

Lane::~Lane() { Stop(); }

bool Lane::Grant(std::shared_ptr<RangeSource> source, bool writable) { return shared_->grant.Replace(std::move(source), writable); }

bool Lane::IsQuiet() { return shared_->grant.IsQuiet(); }

bool Lane::HasFailed() { return shared_->writer->failed(); }

bool Lane::IsStalled() { return shared_->writer->progress().IsStalled(shared_->writer->fd()); }

size_t Lane::TakeInput(uint8_t* target, size_t size, bool* over) { return shared_->queue.Take(target, size, over); }

size_t Lane::input_size() { return shared_->queue.size(); }

bool Lane::Send(const iovec* parts, int count) { return shared_->writer->SendParts(parts, count); }

void Lane::Shut() { shared_->Shut(); }

void Lane::Stop() {
  const MutexLock lock(stop_mutex_);
  // Start failed: the socket belongs to its caller, who goes on with it.
  if (!started_) return;
  Shut();
  if (std::exchange(running_, false)) pthread_join(thread_, nullptr);
  shared_->cold.Stop();
  shared_->writer->Close();
}

const LaneCounters& Lane::counters() const { return shared_->counters; }

}  // namespace copse
