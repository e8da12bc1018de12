// The members of one lane that several threads use. Each has the threads that use it, and the
// reason why they may.
//
//   lane thread   reads the socket, answers, hands up: LaneServer, started by Lane::Start
//   host thread   calls Lane from above: JavaScript's
//   pool          threads of ThreadPool: cold reads
//   drainer       the process's one Drainer: sends what a client would not take at once
//
// Calls that belong to one thread say so by REQUIRES(kLaneThread) or REQUIRES(kHostThread), which
// clang checks (thread_role.h). Members under a mutex say so by GUARDED_BY.
#pragma once

#include <atomic>
#include <memory>

#include "cold_read.h"
#include "lane.h"
#include "lane_grant.h"
#include "lane_queue.h"
#include "reply_writer.h"
#include "thread_role.h"

namespace copse {

struct LaneShared final : ReplyWriter::Listener {
  LaneShared(Descriptor socket, const Lane::Options& options, LaneHost* lane_host);

  // --- Constant: every thread reads them. ---

  // Form of the replies, as negotiated.
  const ReplyMode replies;
  // Told by every thread; its calls are thread-safe and return at once.
  LaneHost* const host;

  // --- One thread at each end. ---

  // The stream of bytes that goes up. The lane thread fills it, the host thread empties it. The
  // pool puts whole requests between (PushBetween).
  LaneQueue queue;
  // Reads that wait for the disk. The lane thread begins them, the pool answers them; the thread
  // that stops the lane waits for them.
  ColdReads cold;

  // --- Every thread, under a mutex of the member's own. ---

  // The files that may be answered from. The host thread replaces them; the lane thread and the
  // pool enter and leave.
  LaneGrant grant;
  // The way out. The lane thread blocks in it; the host thread, the pool and the drainer don't.
  // Shared, because the drainer may hold it for a moment after the lane has gone.
  const std::shared_ptr<ReplyWriter> writer;

  // --- Every thread, by relaxed atomics. ---

  // The lane thread and the pool count, the host thread reads.
  LaneCounters counters;
  // True from Shut on, and never false again. The host thread sets it; the lane thread and the pool
  // give up when they see it. Nothing else is published by it.
  std::atomic<bool> shut{false};

  // Ends a use of the grant, on the lane thread or the pool. The last use of an old grant tells the
  // host.
  void Leave(LaneGrant::Use* use) {
    if (grant.Leave(use)) host->OnQuiet();
  }
  // Tells the host that input waits, unless it knows.
  void TellInput() {
    if (queue.MustTell()) host->OnInput();
  }
  // Ends the connection in both directions at once, from any thread.
  void Shut();

  // The sender of a reply calls them (reply_writer.h): any thread.
  void OnHostSent() override { host->OnSent(); }
  void OnOwnedSent(size_t cost) override { cold.Sent(cost); }
};

}  // namespace copse
