#include "lane.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "tuning/short_slice.h"
#include "drainer.h"
#include "lane_server.h"
#include "lane_shared.h"
#include "socket_info.h"

namespace copse {

namespace {

// Of TCP: bytes not sent yet, beyond which the lane waits. Where a congestion control paces, replies that wait in the kernel only grow the way between file and client, and are not in the processor's caches any
// more when they are sent. Within a host more of them save wakeups: 256 KiB at depth 8 cost 39 µs with the smaller bound, 25 with the larger.
constexpr int kUnsentBytes = 64 << 10, kUnsentBytesOnHost = 1 << 20;

// Every kernel has it, and leaves it to everybody.
constexpr char kUnpaced[] = "reno";

// Whether both ends have one address.
bool StaysOnHost(int fd) {
  sockaddr_storage own{}, peer{};
  socklen_t own_size = sizeof(own), peer_size = sizeof(peer);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) return false;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0 || own.ss_family != peer.ss_family) return false;
  if (own.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(own).sin_addr.s_addr == reinterpret_cast<const sockaddr_in&>(peer).sin_addr.s_addr;
  }
  return own.ss_family == AF_INET6 &&
         memcmp(&reinterpret_cast<const sockaddr_in6&>(own).sin6_addr, &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr, sizeof(in6_addr)) == 0;
}

// A congestion control that paces (BBR) does so by a timer for each piece: towards the own host, where nobody has to be spared, it sends large replies at a quarter of the rate, for four times the CPU
// (docs/performance.md, "The fast path").
void TuneTcp(int fd) {
  const bool on_host = StaysOnHost(fd);
  const int unsent_bytes = on_host ? kUnsentBytesOnHost : kUnsentBytes;
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof(unsent_bytes));
  if (on_host) setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kUnpaced, sizeof(kUnpaced) - 1);
}

// Best effort: a connection works without.
void Tune(int fd, const Lane::Options& options) {
  if (IsUnixSocket(fd)) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &options.send_buffer_bytes, sizeof(options.send_buffer_bytes));
  } else {
    TuneTcp(fd);
  }
}

}  // namespace

LaneShared::LaneShared(Descriptor socket, const Lane::Options& options, LaneHost* lane_host)
    : replies(options.replies),
      host(lane_host),
      queue(options.most_input_bytes),
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
  Tune(socket.get(), options);
  std::shared_ptr<Lane> lane(new (std::nothrow) Lane(std::make_shared<LaneShared>(std::move(socket), options, host)));
  if (lane == nullptr) return {ENOMEM, "lane"};
  lane->early_.assign(early, early + early_size);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, options.stack_bytes);
  // Signals are the main thread's. SIGPIPE, too, is off with that: sendfile(2) has no flag against it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&lane->thread_, &attributes, ThreadMain, lane.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) return {error, "pthread_create"};
  pthread_setname_np(lane->thread_, "copse-lane");
  lane->started_ = lane->running_ = true;
  *started = std::move(lane);
  return {};
}

void* Lane::ThreadMain(void* lane) {
  Lane* const self = static_cast<Lane*>(lane);
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
  const std::lock_guard<std::mutex> guard(stop_mutex_);
  // The socket is somebody else's to go on with.
  if (!started_) return;
  Shut();
  if (std::exchange(running_, false)) pthread_join(thread_, nullptr);
  shared_->cold.Stop();
  shared_->writer->Close();
}

const LaneCounters& Lane::counters() const { return shared_->counters; }

}  // namespace copse
