// What the lane's thread, its cold reads, and the host's calls have in common.
#pragma once

#include <atomic>
#include <memory>

#include "cold_read.h"
#include "lane.h"
#include "lane_grant.h"
#include "lane_queue.h"
#include "reply_writer.h"

namespace copse {

struct LaneShared final : ReplyWriter::Listener {
  LaneShared(Descriptor socket, const Lane::Options& options, LaneHost* lane_host);

  const ReplyMode replies;
  LaneHost* const host;
  LaneCounters counters;
  LaneGrant grant;
  LaneQueue queue;
  ColdReads cold;
  std::atomic<bool> shut{false};
  const std::shared_ptr<ReplyWriter> writer;

  // Ends a use of what was granted.
  void Leave(LaneGrant::Use* use) {
    if (grant.Leave(use)) host->OnQuiet();
  }
  // Says that input waits, if the host doesn't know.
  void TellInput() {
    if (queue.MustTell()) host->OnInput();
  }
  // Both ways, at once, from any thread.
  void Shut();

  void OnHostSent() override { host->OnSent(); }
  void OnOwnedSent(size_t cost) override { cold.Sent(cost); }
};

}  // namespace copse
