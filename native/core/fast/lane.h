// One connection in its transmission phase, served by a thread of its own: what lies in local files is answered there and then, everything else goes up to
// the host (the JavaScript side), byte by byte as it came and in order, and the host's replies go out through the same writer.
//
// Nothing is interpreted that is not answered here, but for what framing needs: a header's length, and how long the payload behind it is. Input that is no request goes up
// as it is, with all that follows: the host knows what to do about it.
//
// Threads. The lane's thread reads the socket and answers. Send, TakeInput, Grant and Shut come from the host's thread. Cold reads run on the pool. Replies never mix:
// each goes out whole under the writer's lock (reply_writer.h). The host's thread never waits for a client or a disk.
//
// The end. The client's end of file, an error or Shut end the input: OnInput tells, TakeInput says so when all before it was taken. The socket is shut down by Shut, or
// with an error; the descriptor is closed when the last holder of the lane goes. Stop ends the thread and waits for it.
#pragma once

#include <pthread.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "../descriptor.h"
#include "../status.h"
#include "lane_counter.h"
#include "range_source.h"
#include "request_frame.h"

namespace copse {

// Told of things by any thread; must not call back into the lane from there.
class LaneHost {
 public:
  virtual ~LaneHost() = default;
  // Input waits, or is over: once, until TakeInput was called.
  virtual void OnInput() = 0;
  // What Send could not send at once is sent, or will never be.
  virtual void OnSent() = 0;
  // Nothing of what was granted before the last Grant is in use any more: once for all Grants since the last such call that found something in use. Another Grant may
  // have come while this was under way: IsQuiet knows.
  virtual void OnQuiet() = 0;
};

struct LaneShared;

class Lane {
 public:
  struct Options {
    ReplyMode replies;
    // Bytes that wait to be taken up, beyond which the socket is not read.
    size_t most_input_bytes = 1 << 20;
    // SO_SNDBUF (socket(7)) of a unix socket: of what the client has not read the kernel holds twice as much, its overhead included. Any process may ask for this much
    // (docs/performance.md, "The fast path").
    int send_buffer_bytes = 208 << 10;
    // The server with its input buffer (16 KiB) lies on the stack; the deepest calls below it need a few KiB.
    size_t stack_bytes = 128 << 10;
  };

  // A lane for a connected, blocking stream socket; `early` is what was read of it already, and copied. The host outlives the lane's thread (Stop). When it fails (no
  // thread, no memory) the descriptor is closed, which ends nothing while others refer to the socket.
  static Status Start(Descriptor socket, const Options& options, const uint8_t* early, size_t early_size, LaneHost* host, std::shared_ptr<Lane>* started);
  ~Lane();

  // What may be answered here from now on; null: nothing. After it returns nothing that was granted before is begun any more. False: something of it is still in use, and
  // OnQuiet will tell of the end; a client that does not read can hold that up for ever (its connection has to be shut then).
  bool Grant(std::shared_ptr<RangeSource> source, bool writable);
  // Whether nothing of what was granted before the last Grant is in use.
  bool IsQuiet();

  // The host's thread. Whether a client that does not read is in the way of that: since the last call something was being sent to it from what was granted, and it took none.
  bool IsStalled();
  // Whether nothing can be sent any more: the client has gone, or the lane was shut.
  bool HasFailed();

  // Takes up to `size` bytes of what goes up: to be called until it gives fewer, since OnInput tells only of what is new. `*over`: there will be no more.
  size_t TakeInput(uint8_t* target, size_t size, bool* over);
  size_t input_size();

  // Sends the parts behind all that was sent before. True: all is gone. False: parts stay in use until OnSent, and no other Send comes before that.
  bool Send(const iovec* parts, int count);
  // Ends the connection, both ways, at once.
  void Shut();
  // Shuts, and waits for the thread and cold reads: for a disk perhaps, so not on the host's thread unless the input is over. No call of the host comes after it.
  // The destructor does it too.
  void Stop();

  const LaneCounters& counters() const;

 private:
  explicit Lane(std::shared_ptr<LaneShared> shared) : shared_(std::move(shared)) {}
  static void* ThreadMain(void* lane);

  const std::shared_ptr<LaneShared> shared_;
  // Until the thread has taken it.
  std::vector<uint8_t> early_;
  std::mutex stop_mutex_;
  pthread_t thread_{};
  // Written before anybody else has the lane.
  bool started_ = false;
  bool running_ = false;
};

}  // namespace copse
