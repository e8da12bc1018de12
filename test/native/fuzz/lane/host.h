// The host of a lane under test. Events, from any thread, wake the thread that polls `fd`. It also
// makes the answers to requests that went up.
#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <deque>

#include "replies.h"

namespace lane {

class Host final : public copse::LaneHost {
 public:
  Host() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHECK(event_.valid()); }
  int fd() const { return event_.get(); }
  void OnInput() override { Count(&inputs); }
  void OnSent() override { Count(&sents); }
  void OnQuiet() override { Count(&quiets); }
  void Drain() {
    eventfd_t value;
    eventfd_read(event_.get(), &value);
  }

  std::atomic<uint64_t> inputs{0}, sents{0}, quiets{0};

 private:
  void Count(std::atomic<uint64_t>* counter) {
    counter->fetch_add(1);
    eventfd_write(event_.get(), 1);
  }
  const copse::Descriptor event_;
};

// A reply as TypeScript would put it; its data are not the device's.
inline Bytes ReplyOf(const Situation& situation, const Item& item) {
  using test::Put;
  const bool simple = situation.replies == copse::ReplyMode::kSimple, extended = situation.replies == copse::ReplyMode::kExtended;
  const size_t most = situation.answers == Answers::kShort ? 0 : situation.answers == Answers::kData ? 9000 : 150000;
  const bool data = item.type == test::kRead && item.length > 0 && item.length <= most;
  const size_t size = data ? static_cast<size_t>(item.length) : 0;
  Bytes reply;
  Put(&reply, simple ? 0x67446698 : extended ? 0x6e8a278c : 0x668e33ef, 4);
  if (simple) {
    Put(&reply, data ? 0 : 22, 4);
    Put(&reply, item.cookie, 8);
  } else {
    Put(&reply, 1, 2);
    Put(&reply, data ? 1 : 0, 2);
    Put(&reply, item.cookie, 8);
    if (extended) Put(&reply, item.offset, 8);
    Put(&reply, data ? 8 + size : 0, extended ? 8 : 4);
    if (data) Put(&reply, item.offset, 8);
  }
  reply.insert(reply.end(), size, static_cast<uint8_t>(0x80 | item.cookie));
  return reply;
}

// Sends one after the other, as LaneStream does.
class Outbox {
 public:
  Outbox(copse::Lane* lane, Host* host, Replies* replies) : lane_(lane), host_(host), replies_(replies) {}

  void Add(Bytes reply) { waiting_.push_back(std::move(reply)); }
  void AskForEnd() { waiting_.emplace_back(); }
  // As far as it goes now.
  void Send() {
    copse::kHostThread.Assert();
    if (pending_ && host_->sents == sents_) return;
    pending_ = false;
    while (!waiting_.empty() && !pending_) {
      // The client may compare with it at any time from now on.
      sent_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      Bytes& reply = sent_.back();
      sents_ = host_->sents;
      if (!reply.empty()) replies_->Expect(&reply);
      const iovec parts[2] = {{reply.data(), std::min<size_t>(reply.size(), 11)}, {reply.data() + std::min<size_t>(reply.size(), 11), reply.size() - std::min<size_t>(reply.size(), 11)}};
      pending_ = !lane_->Send(parts, reply.empty() ? 0 : 2);
    }
  }
  bool IsDone() const { return waiting_.empty() && !IsPending(); }
  // True if the lane has not yet said that it sent what it took.
  bool IsPending() const { return pending_ && host_->sents == sents_; }

 private:
  copse::Lane* const lane_;
  Host* const host_;
  Replies* const replies_;
  std::deque<Bytes> waiting_, sent_;
  bool pending_ = false;
  uint64_t sents_ = 0;
};

}  // namespace lane
