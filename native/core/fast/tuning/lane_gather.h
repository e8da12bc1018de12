// When it pays to let requests gather before they are answered.
//
// A client that is slower than the lane would get each reply by itself, and a wakeup with each: both pay for that. So while it has much to read yet, the lane sleeps for a part of the time that reading takes: the client
// never waits for it, and what it sends meanwhile is answered together.
//
// What it has not read is known over a unix socket (SIOCOUTQ counts it, with the kernel's overhead), and guessed over TCP: the window that it announces with its last request is smaller by that
// than the one that it announces when it has read all (RFC 9293, section 3.8.6). That one grows as the connection goes on, and may shrink, so the largest seen fades.
#pragma once

#include <cstdint>

namespace copse {

class LaneGather {
 public:
  // Of a connected unix or TCP socket, which is somebody else's to close.
  explicit LaneGather(int fd);
  // To be called when few requests have come, and all before them are answered. True: it slept, and Woke is to follow.
  bool Sleep();
  // `more`: something came meanwhile.
  void Woke(bool more) {
    if (more && !late_) vain_looks_ = 0;
  }

 private:
  // How long the client takes at least to read what it was sent.
  long ReadingNs();

  const int fd_;
  const bool unix_;
  uint32_t whole_window_ = 0;
  bool late_ = false;
  unsigned vain_looks_ = 0, unlooked_ = 0;
};

}  // namespace copse
