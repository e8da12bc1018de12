// The one way out of a connection: whoever has a reply to send sends it whole, nobody's bytes come between.
//
// States. Free, or busy: one thread sends. Only the lane's thread waits: to become the sender, and for the client. Everybody else sends what the socket takes at once, and
// leaves the rest, or all of it while another is at it, in the backlog. Whoever sends next begins with the backlog, and whoever has sent looks whether there is one:
// it sends of it what goes at once, and leaves the rest to the drainer (drainer.h). So bytes never wait for anything but the client. A client that reads as fast as others put
// replies there must not keep the host's thread, a pool's or the drainer: each sends at most kTurnBytes of the backlog, then the drainer takes its next turn.
//
// Promises. Whoever has answered, and is about to send, promises so before he says that he is done with the files: who waits for that, and then for all to be sent (SendParts of
// nothing, before the connection's end), waits for that reply, too.
//
// The end. A failed send, Fail, or Close: the socket is shut down both ways, and what waits is dropped, which counts as sent. The descriptor is closed with the writer.
#pragma once

#include <sys/uio.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "../descriptor.h"
#include "send_progress.h"

namespace copse {

// A reply that the writer owns until it has left.
struct OwnedReply {
  std::unique_ptr<uint8_t[]> bytes;
  size_t size = 0;
  size_t cost = 0;        // for OnOwnedSent
  bool promised = false;  // by Promise; SendOwned keeps it
};

class ReplyWriter : public std::enable_shared_from_this<ReplyWriter> {
 public:
  // Told by whoever sends, of what is sent or never will be. Must not call back.
  class Listener {
   public:
    virtual void OnHostSent() = 0;
    virtual void OnOwnedSent(size_t cost) = 0;

   protected:
    ~Listener() = default;
  };

  static constexpr size_t kTurnBytes = 1 << 20;
  // A blocking sendfile(2) comes back when all is sent: so often one sees whether the client takes it.
  static constexpr uint64_t kFileTurnBytes = 256 << 10;

  // The listener stays until Close has returned.
  ReplyWriter(Descriptor socket, Listener* listener) : socket_(std::move(socket)), listener_(listener) {}
  ~ReplyWriter();
  int fd() const { return socket_.get(); }
  bool failed();

  // The lane's thread, blocking: Begin, any number of Send and SendFile, End. Each is false once the connection has failed; End comes all the same.
  bool Begin();
  // `more`: another Send follows at once.
  bool Send(const uint8_t* bytes, size_t size, bool more);
  // False, too, when the file ends early or cannot be read: the reply can't be completed then, and nothing but Fail is left.
  bool SendFile(int file, uint64_t offset, uint64_t size);
  // `promised`: what was sent was promised by Promise.
  void End(bool promised = false);

  // A reply will be sent, or the connection has failed.
  void Promise();

  // Without parts it asks for what others have still to send, and have promised. From the host's thread. True: sent, or failed. False: the parts stay in use until OnHostSent, and no other SendParts comes before that.
  bool SendParts(const iovec* parts, int count);
  void SendOwned(OwnedReply reply);
  // Of the lane's thread's sends.
  SendProgress& progress() { return progress_; }
  // The drainer: the socket takes bytes again.
  void Drain();

  void Fail();
  // Fails, and waits until nobody sends: the listener is not called after it.
  void Close();

 private:
  struct Entry {
    OwnedReply owned;  // without bytes: the host's parts
    size_t sent = 0;
  };
  enum class Sent { kAll, kLater, kFailed };
  using Guard = std::unique_lock<std::mutex>;

  void Enqueue(Guard& guard, OwnedReply reply);
  // Busy, and with the mutex held: sends what it can of the backlog, and is free again.
  // Sends about `most_bytes`; the guard's mutex is perhaps not held any more.
  void Release(Guard& guard, size_t most_bytes);
  // Busy. Without `wait`: about `most_bytes` from there on.
  Sent SendEntry(Entry* entry, bool wait, size_t* most_bytes);
  Sent SendHost(bool wait, size_t* most_bytes);
  bool SendAll(const uint8_t* bytes, size_t size, int flags);
  // With the mutex held.
  bool IsEndDue() const { return end_waits_ && (failed_ || (promises_ == 0 && backlog_.empty())); }
  void Tell(const Entry& entry);
  void FailNow();

  const Descriptor socket_;
  SendProgress progress_;
  Listener* const listener_;
  std::mutex mutex_;
  std::condition_variable free_;
  // Under the mutex; the front of the backlog and the host's parts are the sender's while one is busy.
  bool busy_ = false;
  unsigned waiting_ = 0;
  bool failed_ = false;
  // The drainer came while somebody was sending.
  bool drain_again_ = false;
  bool watched_ = false;
  std::deque<Entry> backlog_;
  std::vector<iovec> host_parts_;
  size_t host_at_ = 0;
  size_t promises_ = 0;
  // The host waits for what others have to send.
  bool end_waits_ = false;
};

}  // namespace copse
