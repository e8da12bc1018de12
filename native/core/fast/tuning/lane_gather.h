// Decides when a lane lets small reads gather before it answers them.
//
// A client that is slower than the lane would get each reply by itself, and both sides would pay
// for a wakeup with each. While the client has much to read yet, the lane sleeps for a part of the
// time that this reading takes. The client never waits for the lane, and what it sends meanwhile is
// answered together.
//
// The bytes that the client has not read are known over a unix socket: SIOCOUTQ counts them, with
// the kernel's overhead. Over TCP they are guessed from the window that the client announces with
// its last request, which is smaller by them than the window of a client that has read everything
// (RFC 9293, section 3.8.6). That whole window grows as the connection goes on and may shrink, so
// the largest one seen fades.
#pragma once

#include <cstdint>

#include "../lane_input.h"
#include "../request_frame.h"

namespace copse {

class LaneGather {
 public:
  // `fd`: a connected unix or TCP socket, which stays the caller's.
  explicit LaneGather(int fd);

  // Before the lane answers what was received, when all earlier requests are answered: if these are
  // a few small reads and the client is busy, sleeps and receives what has come meanwhile.
  void Gather(LaneInput* input, ReplyMode replies);

  // The parts of Gather, for tests. Sleep is true if it slept, and Woke follows then.
  bool Sleep();
  // `more`: something came meanwhile.
  void Woke(bool more) {
    if (more && !late_) vain_looks_ = 0;
  }

 private:
  // The least time that the client needs to read what it was sent, in ns.
  long ReadingNs();

  const int fd_;
  const bool unix_;
  // The largest window that the client has announced, in bytes; it fades.
  uint32_t whole_window_ = 0;
  // True if the last sleep took much longer than asked for, so the client may have waited.
  bool late_ = false;
  // Looks in a row that gained nothing, and calls since then.
  unsigned vain_looks_ = 0, unlooked_ = 0;
};

}  // namespace copse
