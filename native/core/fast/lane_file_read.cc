// Large reads go from the files' pages to the socket, by reference.
//
// A chunk can turn out rotten while it is being sent: its verification failed meanwhile. The lane
// learns that when it clears the plan, and bytes that have left can't be taken back. So it shuts
// the connection and counts that (cut_replies). The client reconnects or fails, and never takes the
// reply for whole. The lane does the same when a file can't be read, or when the lease is lost half
// way.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "../file_io.h"
#include "lane_clock.h"
#include "lane_server.h"
#include "reply_frame.h"

namespace copse {

LaneServer::Answer LaneServer::ReadLarge(const Request& request) {
  const size_t start = batch_size_;
  // As for a small read: a client that allows holes gets one, whatever lies on the disk.
  if (request.length < kSplitFromBytes && MayCut(request, replies_) && use_.source->IsZero(request.offset, request.length)) {
    batch_size_ += PutHole(batch_ + start, replies_, request, true, request.offset, request.length);
    reads_ += 1;
    read_bytes_ += request.length;
    return Answer::kDone;
  }
  const Found found = use_.source->Plan(request.offset, request.length, &plan_);
  if (found != Found::kHit) {
    plan_.Clear();
    return found == Found::kCold ? ReadCold(request, false) : Answer::kUp;
  }
  shared_->cold.Submit();
  CutReply(request, replies_, *use_.source, &pieces_);
  reads_ += 1;
  read_bytes_ += request.length;
  bool sent = true;
  for (size_t i = 0; i < pieces_.size() && sent; i += 1) sent = PutPiece(request, pieces_[i], i + 1 == pieces_.size());
  if (leaving_ && sent && batch_size_ > 0) sent = PushOut(false);
  const bool good = plan_.Clear() && sent;
  if (!leaving_) {
    if (good) return Answer::kDone;
    reads_ -= 1;
    read_bytes_ -= request.length;
    batch_size_ = start;
    return Answer::kUp;
  }
  leaving_ = false;
  shared_->writer->progress().End();
  shared_->counters.file_bytes.fetch_add(file_bytes_, std::memory_order_relaxed);
  file_bytes_ = 0;
  batch_size_ = 0;
  if (!good && !shared_->writer->failed()) {
    shared_->counters.cut_replies.fetch_add(1, std::memory_order_relaxed);
    shutdown(shared_->writer->fd(), SHUT_RDWR);
  }
  shared_->writer->End(std::exchange(promised_, false));
  // How long the client took to read is not the next one's time.
  batch_start_ns_ = NowNs();
  return Answer::kDone;
}

bool LaneServer::PutPiece(const Request& request, const ReplyPiece& piece, bool done) {
  if (BufferList::kBatchBytes - batch_size_ < kMostReplyHeaderBytes && !PushOut(true)) return false;
  if (piece.hole) {
    batch_size_ += PutHole(batch_ + batch_size_, replies_, request, done, piece.offset, piece.size);
    return true;
  }
  batch_size_ += PutDataHeader(batch_ + batch_size_, replies_, request, done, piece.offset, piece.size);
  uint64_t part_offset = request.offset;
  const uint64_t end = piece.offset + piece.size;
  for (const ReadPlan::Part& part : plan_.parts()) {
    const uint64_t from = std::max(part_offset, piece.offset), to = std::min(part_offset + part.size, end);
    if (from < to && !PutPart(part, from - part_offset, to - from)) return false;
    part_offset += part.size;
  }
  return true;
}

bool LaneServer::PutPart(const ReadPlan::Part& part, uint64_t skipped, uint64_t size) {
  if (part.fd < 0) return PutZeros(size);
  const uint64_t offset = part.offset + skipped;
  if (size >= kFromFileBytes) {
    if (batch_size_ > 0 && !PushOut(true)) return false;
    // The process may sleep while the client does not read.
    for (uint64_t done = 0, turn; done < size; done += turn) {
      turn = std::min(size - done, ReplyWriter::kFileTurnBytes);
      if (!AwaitLease() || !shared_->writer->SendFile(part.fd, offset + done, turn)) return false;
    }
    file_bytes_ += size;
    return true;
  }
  // A small part costs less as a copy than as a packet of its own.
  if (BufferList::kBatchBytes - batch_size_ < size && !PushOut(true)) return false;
  if (!ReadFull(part.fd, batch_ + batch_size_, size, offset, AtEnd::kError).ok()) return false;
  batch_size_ += size;
  return true;
}

bool LaneServer::PutZeros(uint64_t size) {
  while (size > 0) {
    if (batch_size_ == BufferList::kBatchBytes && !PushOut(true)) return false;
    const size_t part = static_cast<size_t>(std::min<uint64_t>(size, BufferList::kBatchBytes - batch_size_));
    std::fill_n(batch_ + batch_size_, part, 0);
    batch_size_ += part;
    size -= part;
  }
  return true;
}

bool LaneServer::PushOut(bool more) {
  if (!leaving_) {
    // Nothing of it has left: it goes up.
    if (!MayAnswer()) return false;
    Observe();
    shared_->TellInput();
    leaving_ = true;
    shared_->writer->progress().Begin();
    if (!shared_->writer->Begin()) return false;
  }
  if (!AwaitLease()) return false;
  const size_t size = batch_size_;
  batch_size_ = 0;
  return shared_->writer->Send(batch_, size, more);
}

}  // namespace copse
