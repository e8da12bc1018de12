// The lane's thread: receives requests a batch at a time, answers those that can be answered, and
// hands the rest up.
//
// A batch is what one recv(2) gave, or two. Its small replies gather in one buffer and leave by one
// send(2). What was granted is in use from the first request that is answered until then, or until
// the host grants again. A large reply goes from the files to the socket by sendfile(2), while what
// was granted is in use.
//
// Requests are answered under a lease (answer_lease.h). Once it has passed, requests go up instead.
// Replies that are ready wait for the host, which confirms the lease, or loses it: the lane shuts
// the connection then.
//
// Three calls are tuning (tuning/): MarkSocket and AskForShortSlices in lane.cc, Gather in Run.
// Without any of them the lane answers the same.
//
// Cost. System calls for each 4 KiB read: recv, preadv2, send at depth 1; at depth N one recv and
// one send for N reads (strace: 39 220 preadv2 on 1226 recv at depth 32). CPU for each read, user
// and system, on two busy cores over a unix socket, beside nbdkit's file plugin with the same
// client in turns: 4 KiB at depth 1 7.5 µs to 16.5 µs, at depth 32 1.8 to 7.4; 256 KiB at depth 8
// 22 to 75. The lane's own code takes 0.3 µs at depth 1. The rest is the kernel's copies, and
// waking the client.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lane_input.h"
#include "lane_piece.h"
#include "lane_shared.h"
#include "tuning/lane_gather.h"

namespace copse {

// The whole object belongs to the lane's thread.
class LaneServer {
 public:
  LaneServer(std::shared_ptr<LaneShared> shared, std::vector<uint8_t> early);
  // Returns at the end of the input.
  void Run() REQUIRES(kLaneThread);

  // A read of this many bytes or more goes from file to socket without a copy here, because that
  // costs less from this size on (docs/decision/0009-sendfile-for-large-reads.md).
  static constexpr uint64_t kFromFileBytes = 64 << 10;

 private:
  // kPartial: the request's payload has not come whole.
  enum class Answer { kDone, kUp, kPartial };

  bool Receive() REQUIRES(kLaneThread);
  void HandleInput() REQUIRES(kLaneThread);
  Answer Handle(const Request& request) REQUIRES(kLaneThread);
  // Everything from here on goes up, whatever it is.
  void GiveUp() REQUIRES(kLaneThread);
  void HandUp() REQUIRES(kLaneThread);
  bool ReceiveUp() REQUIRES(kLaneThread);
  void Finish() REQUIRES(kLaneThread);

  // Begins to use what is granted, unless it is in use. False: nothing is granted, or its lease has
  // passed.
  bool Use() REQUIRES(kLaneThread);
  // Ends the use, before anything that may take long. Submits the cold reads.
  void Leave() REQUIRES(kLaneThread);
  // Room for `size` bytes in the batch, which may have to be sent for it: the use may end. False:
  // there is no memory.
  bool MakeRoom(size_t size) REQUIRES(kLaneThread);
  // Counts and sends the batch.
  void Flush() REQUIRES(kLaneThread);
  // True if the lease of the batch holds at this moment.
  bool MayAnswer() const { return lease_ == nullptr || lease_->MayAnswer(); }
  // Waits while the lease has passed. False: it is lost, or the connection is over.
  bool AwaitLease() const;
  void EndBatch() REQUIRES(kLaneThread);
  void Observe();

  Answer Read(const Request& request) REQUIRES(kLaneThread);
  Answer ReadSmall(const Request& request) REQUIRES(kLaneThread);
  // `begun`: the kernel reads it from the disk already.
  Answer ReadCold(const Request& request, bool begun) REQUIRES(kLaneThread);
  Answer Write(const Request& request) REQUIRES(kLaneThread);

  // lane_file_read.cc. From its first byte (`leaving_`) the reply holds the writer until it is
  // whole.
  Answer ReadLarge(const Request& request) REQUIRES(kLaneThread);
  bool PutPiece(const Request& request, const ReplyPiece& piece, bool done) REQUIRES(kLaneThread);
  bool PutPart(const ReadPlan::Part& part, uint64_t skipped, uint64_t size) REQUIRES(kLaneThread);
  bool PutZeros(uint64_t size) REQUIRES(kLaneThread);
  bool PushOut(bool more) REQUIRES(kLaneThread);

  const std::shared_ptr<LaneShared> shared_;
  const ReplyMode replies_;
  const size_t header_bytes_;
  LaneInput input_;
  LaneGather gather_;
  // Bytes of a request that goes up, that have not come or not gone up yet.
  uint64_t up_left_ = 0;
  // True if all input goes up unframed, to the end.
  bool raw_ = false;
  bool stopped_ = false;

  LaneGrant::Use use_;
  // The lease of the batch's replies; it outlives the use. Null: none is needed.
  std::shared_ptr<const AnswerLease> lease_;
  // Replies that leave together, in a buffer of BufferList::Batches.
  uint8_t* batch_ = nullptr;
  size_t batch_size_ = 0;
  // True if the writer was promised the batch.
  bool promised_ = false;
  uint64_t batch_start_ns_ = 0;
  // Requests in the batch that are not counted yet.
  uint64_t reads_ = 0, read_bytes_ = 0, writes_ = 0, written_bytes_ = 0;

  ReadPlan plan_;
  std::vector<ReplyPiece> pieces_;
  bool leaving_ = false;
  uint64_t file_bytes_ = 0;
};

}  // namespace copse
