// The lane's thread: receives requests a batch at a time, answers those that can be answered, and hands the rest up.
//
// A batch is what one recv(2) gave, or two. Its small replies are gathered and leave by one send(2); what was granted is in use from the first request that is answered until then, or
// until somebody grants anew. A large reply is sent from the files themselves by sendfile(2), while what was granted is in use.
//
// What is answered under a lease (answer_lease.h) is neither begun nor sent once that has passed. Requests go up then. Replies that are ready wait for the host, which confirms
// the lease, or loses it: then the connection is shut.
//
// While the client has much to read yet, the lane lets small requests gather (lane_gather.h).
//
// System calls for each 4 KiB read: recv, preadv2, send at depth 1; at depth N one recv and one send for N reads (strace: 39 220 preadv2 on 1226 recv at depth 32). CPU for each read, user
// and system, on two busy cores over a unix socket, beside nbdkit's file plugin with the same client in turns: 4 KiB at depth 1 7.5 µs to 16.5 µs, at depth 32 1.8 to 7.4; 256 KiB at
// depth 8 22 to 75. Of the lane's, 0.3 µs at depth 1 is its own code; the rest is the kernel's copies, and waking the client.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tuning/lane_gather.h"
#include "lane_input.h"
#include "lane_piece.h"
#include "lane_shared.h"

namespace copse {

class LaneServer {
 public:
  LaneServer(std::shared_ptr<LaneShared> shared, std::vector<uint8_t> early);
  // Until the end of the input.
  void Run();

  // From this size on a read goes from file to socket without a copy here (docs/performance.md, "The fast path": where that begins to cost less).
  static constexpr uint64_t kFromFileBytes = 64 << 10;

 private:
  // kPartial: its payload is not here yet.
  enum class Answer { kDone, kUp, kPartial };

  bool Receive();
  // Lets small reads gather behind those that are here, while the client is busy.
  void Gather();
  void HandleInput();
  Answer Handle(const Request& request);
  // Everything from here on goes up, whatever it is.
  void GiveUp();
  void HandUp();
  bool ReceiveUp();
  void Finish();

  // False: nothing is granted, or the lease on it has passed.
  bool Use();
  // Before anything that may take long; so what is to be read from the disk is, too.
  void Leave();
  // False: no memory. Perhaps what was granted is not in use any more.
  bool MakeRoom(size_t size);
  // Observes and sends what was gathered.
  void Flush();
  // Whether the lease that the batch was answered under holds this moment.
  bool MayAnswer() const { return lease_ == nullptr || lease_->MayAnswer(); }
  // Waits while the lease has passed. False: it is lost, or the connection is over.
  bool AwaitLease() const;
  void EndBatch();
  void Observe();

  Answer Read(const Request& request);
  Answer ReadSmall(const Request& request);
  // `begun`: the disk was asked for it.
  Answer ReadCold(const Request& request, bool begun);
  Answer Write(const Request& request);

  // lane_file_read.cc: the reply is sent in the writer's hands (`leaving_`) from when its first byte leaves.
  Answer ReadLarge(const Request& request);
  bool PutPiece(const Request& request, const ReplyPiece& piece, bool done);
  bool PutPart(const ReadPlan::Part& part, uint64_t skipped, uint64_t size);
  bool PutZeros(uint64_t size);
  bool PushOut(bool more);

  const std::shared_ptr<LaneShared> shared_;
  const ReplyMode replies_;
  const size_t header_bytes_;
  LaneInput input_;
  LaneGather gather_;
  // Bytes of a request that goes up that have not come or not gone.
  uint64_t up_left_ = 0;
  bool raw_ = false;
  bool stopped_ = false;

  LaneGrant::Use use_;
  // Of what is in the batch; it outlives the use. Null: none is needed.
  std::shared_ptr<const AnswerLease> lease_;
  // Replies that leave together; of BufferList::Batches.
  uint8_t* batch_ = nullptr;
  size_t batch_size_ = 0;
  // The writer was told of replies in the batch.
  bool promised_ = false;
  uint64_t batch_start_ns_ = 0;
  // Not yet observed.
  uint64_t reads_ = 0, read_bytes_ = 0, writes_ = 0, written_bytes_ = 0;

  ReadPlan plan_;
  std::vector<ReplyPiece> pieces_;
  bool leaving_ = false;
  uint64_t file_bytes_ = 0;
};

}  // namespace copse
