#include "lane_server.h"

#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "lane_clock.h"
#include "reply_frame.h"

namespace copse {

namespace {

// Between two looks at a lease that has passed, in ns. The host settles it within some ms as a
// rule.
constexpr long kLeaseLookNs = 1'000'000;

}  // namespace

LaneServer::LaneServer(std::shared_ptr<LaneShared> shared, std::vector<uint8_t> early)
    : shared_(std::move(shared)),
      replies_(shared_->replies),
      header_bytes_(RequestHeaderBytes(replies_)),
      input_(shared_->writer->fd(), std::move(early)),
      gather_(shared_->writer->fd()) {}

void LaneServer::Run() {
  while (!stopped_ && Receive()) {
    if (up_left_ == 0) gather_.Gather(&input_, replies_);
    batch_start_ns_ = NowNs();
    HandleInput();
    EndBatch();
  }
  Finish();
}

bool LaneServer::Receive() {
  if (up_left_ > 0 && input_.size() == 0) return ReceiveUp();
  return input_.Receive();
}

void LaneServer::HandleInput() {
  while (!stopped_ && input_.size() > 0) {
    if (up_left_ > 0) {
      HandUp();
      continue;
    }
    if (input_.size() < header_bytes_) {
      // Makes room for the rest of the header.
      input_.Reserve(header_bytes_);
      return;
    }
    Request request;
    if (!ParseRequest(input_.data(), replies_, &request) || request.type == Request::kDisconnect) {
      GiveUp();
      continue;
    }
    switch (Handle(request)) {
      case Answer::kDone:
        break;
      case Answer::kPartial:
        return;
      case Answer::kUp:
        shared_->counters.handed_up.fetch_add(1, std::memory_order_relaxed);
        // The sum saturates; no client sends that much.
        up_left_ = std::min(RequestPayloadBytes(request, replies_), UINT64_MAX - header_bytes_) + header_bytes_;
    }
  }
}

LaneServer::Answer LaneServer::Handle(const Request& request) {
  if (IsPlainRead(request, replies_)) {
    const Answer answer = Read(request);
    if (answer == Answer::kDone) input_.Consume(header_bytes_);
    return answer;
  }
  if (IsPlainWrite(request, replies_)) return Write(request);
  return Answer::kUp;
}

void LaneServer::GiveUp() {
  EndBatch();
  // The host may take what follows as the end, so cold reads have to be answered first.
  shared_->cold.WaitForAll();
  raw_ = true;
  up_left_ = UINT64_MAX;
}

void LaneServer::HandUp() {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(input_.size(), up_left_));
  const size_t taken = shared_->queue.Push(input_.data(), size, up_left_);
  input_.Consume(taken);
  if (!raw_) up_left_ -= taken;
  if (taken == size) return;
  EndBatch();
  stopped_ = !shared_->queue.WaitForRoom();
  batch_start_ns_ = NowNs();
}

bool LaneServer::ReceiveUp() {
  size_t room = 0;
  uint8_t* target = shared_->queue.Room(&room);
  while (target == nullptr) {
    if (!shared_->queue.WaitForRoom()) return false;
    target = shared_->queue.Room(&room);
  }
  const size_t count = input_.ReceiveTo(target, static_cast<size_t>(std::min<uint64_t>(room, up_left_)));
  if (!raw_) up_left_ -= count;
  shared_->queue.Commit(count, up_left_);
  return count > 0;
}

void LaneServer::Finish() {
  // A header or payload that is not whole goes up as it came.
  if (!stopped_ && input_.size() > 0) {
    if (up_left_ == 0) GiveUp();
    while (!stopped_ && input_.size() > 0) HandUp();
  }
  EndBatch();
  shared_->cold.WaitForAll();
  shared_->queue.End();
  shared_->TellInput();
}

bool LaneServer::Use() {
  if (use_.source != nullptr) {
    if (shared_->grant.IsCurrent(use_)) return lease_ == nullptr || lease_->MayAnswer(batch_start_ns_);
    Leave();
  }
  while (shared_->grant.Enter(&use_)) {
    if (use_.source->lease() == lease_ || batch_size_ == 0) {
      if (use_.source->lease() != lease_) lease_ = use_.source->lease();
      return lease_ == nullptr || lease_->MayAnswer(batch_start_ns_);
    }
    // Replies of the batch were answered under the earlier lease, and leave under it.
    Leave();
    Flush();
    batch_start_ns_ = NowNs();
  }
  return false;
}

bool LaneServer::AwaitLease() const {
  while (!MayAnswer()) {
    if (lease_->IsLost() || shared_->shut.load(std::memory_order_relaxed)) return false;
    const timespec pause{0, kLeaseLookNs};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  }
  return true;
}

void LaneServer::Leave() {
  shared_->cold.Submit();
  if (use_.source == nullptr) return;
  if (batch_size_ > 0 && !promised_) {
    shared_->writer->Promise();
    promised_ = true;
  }
  shared_->Leave(&use_);
}

bool LaneServer::MakeRoom(size_t size) {
  if (batch_ == nullptr) batch_ = BufferList::Batches().Take(static_cast<size_t>(shared_->writer->fd()));
  if (batch_ == nullptr) return false;
  if (BufferList::kBatchBytes - batch_size_ >= size) return true;
  Leave();
  Flush();
  batch_start_ns_ = NowNs();
  return true;
}

void LaneServer::Observe() {
  LaneCounters& counters = shared_->counters;
  if (reads_ + writes_ == 0) return;
  const uint64_t ns = NowNs() - batch_start_ns_;
  if (reads_ > 0) {
    counters.read_bytes.fetch_add(read_bytes_, std::memory_order_relaxed);
    counters.ObserveRead(ns, reads_);
  }
  if (writes_ > 0) {
    counters.written_bytes.fetch_add(written_bytes_, std::memory_order_relaxed);
    counters.ObserveWrite(ns, writes_);
  }
  reads_ = read_bytes_ = writes_ = written_bytes_ = 0;
}

void LaneServer::Flush() {
  if (batch_size_ == 0) return;
  Observe();
  shared_->TellInput();
  bool good = shared_->writer->Begin();
  // The last look: the process may have been stopped anywhere before.
  while (good && !MayAnswer()) {
    // Other threads may send while this one waits.
    shared_->writer->End();
    if (!AwaitLease()) shared_->writer->Fail();
    good = shared_->writer->Begin();
  }
  if (good) shared_->writer->Send(batch_, batch_size_, false);
  shared_->writer->End(std::exchange(promised_, false));
  batch_size_ = 0;
}

void LaneServer::EndBatch() {
  Leave();
  Flush();
  shared_->TellInput();
  if (batch_ != nullptr) BufferList::Batches().Give(batch_, static_cast<size_t>(shared_->writer->fd()));
  batch_ = nullptr;
}

}  // namespace copse
