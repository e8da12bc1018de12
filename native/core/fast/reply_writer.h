// The one way out of a connection. Every reply leaves whole: no other reply's bytes come between.
//
// Only one thread sends at a time, the sender. The lane's thread alone may wait: to become the
// sender, and for the client. Every other thread sends what the socket takes at once and leaves the
// rest in the backlog; while another thread is the sender it leaves the whole reply there.
//
// States
//   kIdle   no sender; the backlog is empty
//   kLeft   no sender; the backlog waits for the drainer (drainer.h) or the lane's thread
//   kBusy   one thread is the sender
//
//   event               thread  kIdle                kLeft                kBusy
//   Begin               lane    kBusy                kBusy, sends the     waits for the end
//                                                    backlog, blocking    of kBusy
//   Send, SendFile      lane    -                    -                    sends, blocking
//   End                 lane    -                    -                    takes a turn
//   SendParts           host    kBusy, sends its     kBusy, queues,       queues
//                               parts, takes a turn  takes a turn
//   SendOwned           any     kBusy, queues,       kBusy, queues,       queues
//                               takes a turn         takes a turn
//   Drain, Fail, Close  any     kBusy, takes a turn  kBusy, takes a turn  the sender looks again
//
// A turn sends from the backlog without blocking, until:
//   the backlog is empty        kIdle
//   the lane's thread waits     kLeft; that thread is woken and goes on
//   the socket takes no more    kLeft; the drainer watches the socket
//   kTurnBytes have left        kLeft; the drainer takes the next turn
// The last bound keeps a client that reads as fast as others write from holding up the host's
// thread, a pool's or the drainer. The lane's thread has no such bound.
//
// Failure is a mark beside the state. A failed send, Fail and Close set it and shut the socket down
// both ways. From then on Begin and Send say false, and a turn drops the backlog, which counts as
// sent. The descriptor is closed with the writer.
//
// The end. SendParts of nothing asks for the end of all that others have to send. A turn answers
// with OnHostSent when the backlog is empty and no promise is open, or the writer has failed. A
// promise is a reply that another thread has read from the files and not yet handed over: the
// thread makes it before it lets go of the files, so the host can't see quiet files and miss the
// reply.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "../descriptor.h"
#include "../mutex.h"
#include "send_progress.h"
#include "thread_role.h"

namespace copse {

// A reply that the writer owns until it has left.
struct OwnedReply {
  std::unique_ptr<uint8_t[]> bytes;
  size_t size = 0;
  // Passed to OnOwnedSent.
  size_t cost = 0;
  // True if Promise was called for it; SendOwned keeps that promise.
  bool promised = false;
};

class ReplyWriter : public std::enable_shared_from_this<ReplyWriter> {
 public:
  // The sender calls it for each reply that left or was dropped. It must not call the writer.
  class Listener {
   public:
    virtual void OnHostSent() = 0;
    virtual void OnOwnedSent(size_t cost) = 0;

   protected:
    ~Listener() = default;
  };

  // Bytes of the backlog in one turn.
  static constexpr size_t kTurnBytes = 1 << 20;
  // Bytes in one sendfile(2). A blocking call returns when all of them are in the socket, so this
  // is how often `progress` sees whether the client takes any.
  static constexpr uint64_t kFileTurnBytes = 256 << 10;

  // The listener stays until Close has returned.
  ReplyWriter(Descriptor socket, Listener* listener)
      : socket_(std::move(socket)), listener_(listener) {}
  ~ReplyWriter();
  int fd() const { return socket_.get(); }
  bool failed() EXCLUDES(mutex_);

  // Begin, any number of Send and SendFile, End: one reply or more that leave together. The calls
  // block until the socket has taken the bytes. Each is false once the writer has failed; End must
  // follow all the same.
  bool Begin() REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // `more`: another Send follows at once, so the kernel may wait for it before it makes a packet.
  bool Send(const uint8_t* bytes, size_t size, bool more) REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // False, too, when the file ends early or can't be read. The reply can't be completed then, and
  // the caller has to fail the connection.
  bool SendFile(int file, uint64_t offset, uint64_t size) REQUIRES(kLaneThread) EXCLUDES(mutex_);
  // `promised`: Promise was called for what was sent.
  void End(bool promised = false) REQUIRES(kLaneThread) EXCLUDES(mutex_);

  // A reply follows by SendOwned or End, or the writer fails.
  void Promise() EXCLUDES(mutex_);

  // Sends the parts behind all that was sent before. True: all has left, or the writer has failed.
  // False: the parts stay in use until OnHostSent, and no SendParts may come before that. Without
  // parts it asks for the end of all replies of others, in the same way.
  bool SendParts(const iovec* parts, int count) REQUIRES(kHostThread) EXCLUDES(mutex_);
  void SendOwned(OwnedReply reply) EXCLUDES(mutex_);
  // The progress of the lane's thread's sends.
  SendProgress& progress() { return progress_; }
  // The drainer calls it when the socket takes bytes again.
  void Drain() EXCLUDES(mutex_);

  void Fail() EXCLUDES(mutex_);
  // Fails, and waits until no thread is the sender. The listener is not called after it.
  void Close() EXCLUDES(mutex_);

 private:
  enum class State { kIdle, kLeft, kBusy };
  enum class TurnEnd { kEmpty, kLaneWaits, kSocketFull, kBytesSpent };
  enum class Sent { kAll, kLater, kFailed };
  struct Entry {
    // Without bytes the entry stands for the host's parts.
    OwnedReply owned;
    size_t sent = 0;
  };

  // To kBusy. From it, for the caller is the sender, the caller comes out by TakeTurn.
  void BecomeSender() REQUIRES(mutex_) { state_ = State::kBusy; }
  void AwaitSenderEnd() REQUIRES(mutex_);
  // In kBusy, by the sender: one turn, and to kIdle or kLeft.
  void TakeTurn(size_t max_bytes) RELEASE(mutex_);
  TurnEnd SendBacklog(size_t max_bytes) REQUIRES(mutex_);
  // In any state: behind the backlog, and out as far as it goes at once.
  void Queue(OwnedReply reply) RELEASE(mutex_);

  // By the sender, without the mutex. Without `wait` they send about `*max_bytes` and count them
  // down.
  Sent SendEntry(Entry* entry, bool wait, size_t* max_bytes) EXCLUDES(mutex_);
  Sent SendHost(bool wait, size_t* max_bytes) EXCLUDES(mutex_);
  bool SendAll(const uint8_t* bytes, size_t size, int flags) EXCLUDES(mutex_);
  void Tell(const Entry& entry) EXCLUDES(mutex_);

  bool IsEndDue() const REQUIRES(mutex_) {
    return end_waits_ && (failed_ || (promises_ == 0 && backlog_.empty()));
  }
  void MarkFailed() EXCLUDES(mutex_);

  const Descriptor socket_;
  SendProgress progress_;
  Listener* const listener_;
  Mutex mutex_;
  // Signalled at the end of kBusy.
  Condition free_;
  State state_ GUARDED_BY(mutex_) = State::kIdle;
  // Threads that wait for the end of kBusy.
  unsigned waiting_ GUARDED_BY(mutex_) = 0;
  bool failed_ GUARDED_BY(mutex_) = false;
  // True if Drain came in kBusy since the sender last tried the socket.
  bool drain_again_ GUARDED_BY(mutex_) = false;
  // True if the drainer knows this writer, and has to forget it.
  bool watched_ GUARDED_BY(mutex_) = false;
  // The front entry itself is the sender's in kBusy; the rest is only appended to.
  std::deque<Entry> backlog_ GUARDED_BY(mutex_);
  // Replies that were promised and have not come.
  size_t promises_ GUARDED_BY(mutex_) = 0;
  // True if the host has asked for the end and was not told of it.
  bool end_waits_ GUARDED_BY(mutex_) = false;
  // The host's from OnHostSent to SendParts, the sender's from then to OnHostSent.
  std::vector<iovec> host_parts_;
  size_t host_at_ = 0;
};

}  // namespace copse
