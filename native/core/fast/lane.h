// One connection in its transmission phase, with a thread of its own. The lane's thread answers at
// once what lies in local files. Everything else goes up to the host (the JavaScript side), byte by
// byte as it came and in order, and the host's replies go out through the same writer.
//
// The lane interprets nothing that it does not answer, except what framing needs: the length of a
// header and of the payload behind it. Input that is no request goes up as it is, with all that
// follows: the host knows what to do about it.
//
// Threads. The lane's thread reads the socket and answers. The host's thread calls Grant,
// TakeInput, Send and Shut. Cold reads run on the pool. lane_shared.h says which thread uses what.
// Replies never mix: each leaves whole (reply_writer.h). The host's thread never waits for a client
// or a disk.
//
// The end. The client's end of file, an error or Shut ends the input: OnInput tells, and TakeInput
// says so once everything before it was taken. Shut and errors shut the socket down; its descriptor
// is closed with the lane. Stop ends the thread and waits for it.
#pragma once

#include <pthread.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../descriptor.h"
#include "../mutex.h"
#include "../status.h"
#include "lane_counter.h"
#include "range_source.h"
#include "request_frame.h"
#include "thread_role.h"

namespace copse {

// Told by any thread of the lane. It must not call back into the lane from there.
class LaneHost {
 public:
  virtual ~LaneHost() = default;
  // Input waits, or is over. Not told again until TakeInput was called.
  virtual void OnInput() = 0;
  // The rest of a Send that could not leave at once has left, or will never leave.
  virtual void OnSent() = 0;
  // Nothing that was granted before the last Grant is in use any more. Told once for all Grants
  // since the last such call that found something in use. The host's thread may have granted again
  // meanwhile: IsQuiet knows.
  virtual void OnQuiet() = 0;
};

struct LaneShared;

class Lane {
 public:
  struct Options {
    ReplyMode replies;
    // Bytes that may wait to be taken up. Beyond them the socket is not read.
    size_t max_input_bytes = 1 << 20;
    // SO_SNDBUF (socket(7)) of a unix socket, in bytes. The kernel holds twice as much for a client
    // that does not read, its overhead included. Any process may ask for this much:
    // docs/decision/0010-unix-send-buffer.md.
    int send_buffer_bytes = 208 << 10;
    // The stack holds the server with its input buffer of 16 KiB; the deepest calls need a few KiB
    // more.
    size_t stack_bytes = 128 << 10;
  };

  // Makes a lane for a connected, blocking stream socket. `early` is what was read of the socket
  // before; it is copied. The host outlives the lane's thread (Stop). On failure (no thread, no
  // memory) the descriptor is closed, which ends nothing while other descriptors refer to the
  // socket.
  static Status Start(Descriptor socket, const Options& options, const uint8_t* early, size_t early_size, LaneHost* host, std::shared_ptr<Lane>* started);
  ~Lane();

  // Replaces what may be answered here; null: nothing. After it returns, nothing that was granted
  // before is begun any more. False: some of it is still in use, and OnQuiet tells of the end. A
  // client that does not read can hold that up for ever; the host has to shut its connection then.
  bool Grant(std::shared_ptr<RangeSource> source, bool writable) REQUIRES(kHostThread);
  // True if nothing that was granted before the last Grant is in use.
  bool IsQuiet();

  // True if a client that does not read holds that up: since the last call the lane was sending to
  // it from what was granted, and the client took nothing.
  bool IsStalled() REQUIRES(kHostThread);
  // True if nothing can be sent any more: the client has gone, or the lane was shut.
  bool HasFailed();

  // Takes up to `size` bytes of what goes up. The host calls it until it gives fewer, since OnInput
  // tells only of what is new. `*over`: no more will come.
  size_t TakeInput(uint8_t* target, size_t size, bool* over) REQUIRES(kHostThread);
  size_t input_size();

  // Sends the parts behind all that was sent before. True: all has left. False: the parts stay in
  // use until OnSent, and no other Send may come before that.
  bool Send(const iovec* parts, int count) REQUIRES(kHostThread);
  // Ends the connection in both directions at once.
  void Shut();
  // Shuts, and waits for the thread and for cold reads. It may wait for a disk, so the host's
  // thread calls it only when the input is over. No call of the host comes after it. The destructor
  // stops too.
  void Stop();

  const LaneCounters& counters() const;

 private:
  explicit Lane(std::shared_ptr<LaneShared> shared) : shared_(std::move(shared)) {}
  static void* ThreadMain(void* lane);

  const std::shared_ptr<LaneShared> shared_;
  // The starting thread's, then the lane thread's, which takes it when it begins.
  std::vector<uint8_t> early_;
  // Written by Start, before another thread has the lane.
  pthread_t thread_{};
  bool started_ = false;
  Mutex stop_mutex_;
  // True while the thread has to be joined.
  bool running_ GUARDED_BY(stop_mutex_) = false;
};

}  // namespace copse
