#include "cold_read.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "../file_io.h"
#include "../thread_pool.h"
#include "lane_clock.h"
#include "lane_piece.h"
#include "lane_shared.h"
#include "reply_frame.h"

namespace copse {

namespace {

class ColdRead {
 public:
  ColdRead(LaneShared* lane, const Request& request, const uint8_t* header) : lane_(lane), request_(request), start_ns_(NowNs()) {
    memcpy(header_, header, RequestHeaderBytes(lane_->replies));
  }

  uint64_t length() const { return request_.length; }

  void Run() {
    OwnedReply reply;
    if (!lane_->shut.load(std::memory_order_relaxed) && Read(&reply)) {
      lane_->counters.cold_reads.fetch_add(1, std::memory_order_relaxed);
      lane_->counters.read_bytes.fetch_add(request_.length, std::memory_order_relaxed);
      lane_->counters.ObserveRead(NowNs() - start_ns_, 1);
      reply.cost = request_.length;
      lane_->writer->SendOwned(std::move(reply));
    } else {
      HandUp();
    }
  }

 private:
  void HandUp() {
    lane_->cold.Sent(request_.length);
    lane_->counters.handed_up.fetch_add(1, std::memory_order_relaxed);
    lane_->queue.PushBetween(header_, RequestHeaderBytes(lane_->replies));
    lane_->TellInput();
  }

  // False: this path may not answer it, or no longer.
  bool Read(OwnedReply* reply) {
    LaneGrant::Use use;
    if (!lane_->grant.Enter(&use)) return false;
    const uint64_t size = use.source->size_bytes();
    const bool inside = request_.offset <= size && request_.length <= size - request_.offset;
    const AnswerLease* const lease = use.source->lease().get();
    // The lease comes last: it may have passed while the disk was read.
    const bool good = inside && ReadFrom(use.source.get(), reply) && (lease == nullptr || lease->MayAnswer());
    if (good) {
      lane_->writer->Promise();
      reply->promised = true;
    }
    lane_->Leave(&use);
    return good;
  }

  bool ReadFrom(RangeSource* source, OwnedReply* reply) {
    ReadPlan plan;
    if (source->Plan(request_.offset, request_.length, &plan) == Found::kUp) return false;
    std::vector<ReplyPiece> pieces;
    CutReply(request_, lane_->replies, *source, &pieces);
    reply->bytes.reset(new (std::nothrow) uint8_t[pieces.size() * kMostReplyHeaderBytes + request_.length]);
    if (reply->bytes == nullptr) return false;
    uint8_t* at = reply->bytes.get();
    for (const ReplyPiece& piece : pieces) {
      const bool done = &piece == &pieces.back();
      if (piece.hole) {
        at += PutHole(at, lane_->replies, request_, done, piece.offset, piece.size);
        continue;
      }
      at += PutDataHeader(at, lane_->replies, request_, done, piece.offset, piece.size);
      if (!ReadPiece(plan, piece, at)) return false;
      at += piece.size;
    }
    reply->size = static_cast<size_t>(at - reply->bytes.get());
    return plan.Clear();
  }

  bool ReadPiece(const ReadPlan& plan, const ReplyPiece& piece, uint8_t* target) {
    uint64_t part_offset = request_.offset;
    const uint64_t end = piece.offset + piece.size;
    for (const ReadPlan::Part& part : plan.parts()) {
      const uint64_t from = std::max(part_offset, piece.offset), to = std::min(part_offset + part.size, end);
      if (from < to && !ReadPart(part, from - part_offset, to - from, target + (from - piece.offset))) return false;
      part_offset += part.size;
    }
    return true;
  }

  static bool ReadPart(const ReadPlan::Part& part, uint64_t skipped, uint64_t size, uint8_t* target) {
    if (part.fd < 0) {
      memset(target, 0, size);
      return true;
    }
    return ReadFull(part.fd, target, size, part.offset + skipped, AtEnd::kError).ok();
  }

  LaneShared* const lane_;
  const Request request_;
  const uint64_t start_ns_;
  uint8_t header_[Request::kMostHeaderBytes];
};

}  // namespace

class ColdGroup final : public Task {
 public:
  explicit ColdGroup(std::shared_ptr<LaneShared> lane) : lane_(std::move(lane)) { reads_.reserve(ColdReads::kMostGrouped); }

  void Add(const Request& request, const uint8_t* header) { reads_.emplace_back(lane_.get(), request, header); }
  size_t size() const { return reads_.size(); }

  void Run() override {
    for (ColdRead& read : reads_) read.Run();
    const std::shared_ptr<LaneShared> lane = std::move(lane_);
    const size_t count = reads_.size();
    delete this;
    lane->cold.Done(count);
  }

  // In place of Run, for a group that the pool never began.
  void Drop() {
    for (const ColdRead& read : reads_) lane_->cold.Sent(read.length());
    lane_->cold.Done(reads_.size());
  }

 private:
  std::shared_ptr<LaneShared> lane_;
  std::vector<ColdRead> reads_;
};

std::atomic<size_t> ColdReads::bytes_of_all_{0};

ColdReads::ColdReads() = default;
ColdReads::~ColdReads() = default;

bool ColdReads::Start(const std::shared_ptr<LaneShared>& lane, const Request& request, const uint8_t* header, bool begun) {
  // Only the lane's thread adds, so the bounds hold without a lock.
  if (requests_.load(std::memory_order_relaxed) >= kMostRequests) return false;
  if (request.length > kMostBytes - std::min(kMostBytes, bytes_.load(std::memory_order_relaxed))) return false;
  if (bytes_of_all_.fetch_add(request.length, std::memory_order_relaxed) + request.length > kMostBytesOfAll) {
    bytes_of_all_.fetch_sub(request.length, std::memory_order_relaxed);
    return false;
  }
  if (!begun) Submit();
  if (group_ == nullptr) group_.reset(new (std::nothrow) ColdGroup(lane));
  if (group_ == nullptr) {
    bytes_of_all_.fetch_sub(request.length, std::memory_order_relaxed);
    return false;
  }
  group_->Add(request, header);
  requests_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(request.length, std::memory_order_relaxed);
  if (!begun || group_->size() == kMostGrouped) Submit();
  return true;
}

void ColdReads::Submit() {
  if (group_ == nullptr) return;
  {
    const MutexLock lock(mutex_);
    under_way_ += group_->size();
  }
  ThreadPool::Shared().Submit(group_.release(), PoolLane::kRead, this);
}

void ColdReads::Sent(size_t cost) {
  bytes_of_all_.fetch_sub(cost, std::memory_order_relaxed);
  bytes_.fetch_sub(cost, std::memory_order_relaxed);
  requests_.fetch_sub(1, std::memory_order_relaxed);
}

void ColdReads::Done(size_t count) {
  const MutexLock lock(mutex_);
  under_way_ -= count;
  if (under_way_ == 0) done_.NotifyAll();
}

void ColdReads::WaitForAll() {
  const MutexLock lock(mutex_);
  while (under_way_ > 0 && !shut_) done_.Wait(mutex_);
}

void ColdReads::Shut() {
  const MutexLock lock(mutex_);
  shut_ = true;
  done_.NotifyAll();
}

void ColdReads::Stop() {
  for (Task* const task : ThreadPool::Shared().TakeBack(this)) {
    static_cast<ColdGroup*>(task)->Drop();
    delete task;
  }
  const MutexLock lock(mutex_);
  while (under_way_ > 0) done_.Wait(mutex_);
}

}  // namespace copse
