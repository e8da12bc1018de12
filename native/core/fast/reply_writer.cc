#include "reply_writer.h"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "drainer.h"

namespace copse {

namespace {

// The lane's socket is blocking. Another process that shares its file description may have made it
// non-blocking, so the lane waits here then.
void WaitForRoom(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  poll(&entry, 1, -1);
}

}  // namespace

ReplyWriter::~ReplyWriter() {
  if (watched_) Drainer::Shared().Forget(this);
}

bool ReplyWriter::failed() {
  const MutexLock lock(mutex_);
  return failed_;
}

void ReplyWriter::AwaitSenderEnd() {
  while (state_ == State::kBusy) {
    waiting_ += 1;
    free_.Wait(mutex_);
    waiting_ -= 1;
  }
}

bool ReplyWriter::Begin() {
  mutex_.Lock();
  AwaitSenderEnd();
  BecomeSender();
  // The backlog as it is now goes first. What comes meanwhile waits for End.
  for (size_t due = backlog_.size(); due > 0 && !failed_; due -= 1) {
    Entry& entry = backlog_.front();
    mutex_.Unlock();
    size_t max_bytes = SIZE_MAX;
    if (SendEntry(&entry, true, &max_bytes) == Sent::kFailed) MarkFailed();
    Tell(entry);
    progress_.Moved();
    mutex_.Lock();
    backlog_.pop_front();
  }
  const bool good = !failed_;
  mutex_.Unlock();
  return good;
}

bool ReplyWriter::Send(const uint8_t* bytes, size_t size, bool more) {
  if (SendAll(bytes, size, more ? MSG_MORE : 0)) return true;
  MarkFailed();
  return false;
}

bool ReplyWriter::SendAll(const uint8_t* bytes, size_t size, int flags) {
  while (size > 0) {
    const ssize_t count = send(fd(), bytes, size, flags | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EAGAIN) WaitForRoom(fd());
      if (errno == EINTR || errno == EAGAIN) continue;
      return false;
    }
    progress_.Moved();
    bytes += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

bool ReplyWriter::SendFile(int file, uint64_t offset, uint64_t size) {
  off_t at = static_cast<off_t>(offset);
  while (size > 0) {
    const ssize_t count = sendfile(fd(), file, &at, std::min(size, kFileTurnBytes));
    if (count < 0) {
      if (errno == EAGAIN) WaitForRoom(fd());
      if (errno == EINTR || errno == EAGAIN) continue;
      if (errno == EPIPE || errno == ECONNRESET) MarkFailed();
      return false;
    }
    if (count == 0) return false;
    progress_.Moved();
    size -= static_cast<uint64_t>(count);
  }
  return true;
}

void ReplyWriter::Promise() {
  const MutexLock lock(mutex_);
  promises_ += 1;
}

void ReplyWriter::End(bool promised) {
  mutex_.Lock();
  if (promised) promises_ -= 1;
  TakeTurn(SIZE_MAX);
}

void ReplyWriter::TakeTurn(size_t max_bytes) {
  const TurnEnd end = SendBacklog(max_bytes);
  state_ = end == TurnEnd::kEmpty ? State::kIdle : State::kLeft;
  if (waiting_ > 0) free_.NotifyAll();
  if (end == TurnEnd::kBytesSpent) watched_ = true;
  mutex_.Unlock();
  // Only now: the drainer may take its turn before Watch returns. A full socket is watched already.
  if (end == TurnEnd::kBytesSpent && !Drainer::Shared().Watch(shared_from_this())) Fail();
}

ReplyWriter::TurnEnd ReplyWriter::SendBacklog(size_t max_bytes) {
  while (true) {
    if (backlog_.empty()) {
      if (!IsEndDue()) return TurnEnd::kEmpty;
      end_waits_ = false;
      mutex_.Unlock();
      listener_->OnHostSent();
      mutex_.Lock();
      continue;
    }
    Entry& entry = backlog_.front();
    if (failed_) {
      mutex_.Unlock();
      Tell(entry);
      mutex_.Lock();
      backlog_.pop_front();
      continue;
    }
    if (waiting_ > 0) return TurnEnd::kLaneWaits;
    if (max_bytes == 0) return TurnEnd::kBytesSpent;
    drain_again_ = false;
    mutex_.Unlock();
    const Sent sent = SendEntry(&entry, false, &max_bytes);
    if (sent == Sent::kFailed) MarkFailed();
    const bool full = sent == Sent::kLater && max_bytes > 0;
    if (full && !Drainer::Shared().Watch(shared_from_this())) MarkFailed();
    if (sent != Sent::kLater) Tell(entry);
    mutex_.Lock();
    watched_ = watched_ || full;
    if (sent != Sent::kLater) {
      backlog_.pop_front();
    } else if (full && !failed_ && !drain_again_) {
      return TurnEnd::kSocketFull;
    }
  }
}

ReplyWriter::Sent ReplyWriter::SendEntry(Entry* entry, bool wait, size_t* max_bytes) {
  if (entry->owned.bytes == nullptr) return SendHost(wait, max_bytes);
  while (entry->sent < entry->owned.size) {
    if (*max_bytes == 0) return Sent::kLater;
    const size_t size = std::min(entry->owned.size - entry->sent, *max_bytes);
    const ssize_t count = send(fd(), entry->owned.bytes.get() + entry->sent, size, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Sent::kFailed;
      if (!wait) return Sent::kLater;
      WaitForRoom(fd());
      continue;
    }
    entry->sent += static_cast<size_t>(count);
    *max_bytes -= static_cast<size_t>(count);
  }
  return Sent::kAll;
}

ReplyWriter::Sent ReplyWriter::SendHost(bool wait, size_t* max_bytes) {
  while (host_at_ < host_parts_.size()) {
    if (*max_bytes == 0) return Sent::kLater;
    msghdr message{};
    message.msg_iov = host_parts_.data() + host_at_;
    message.msg_iovlen = std::min<size_t>(host_parts_.size() - host_at_, IOV_MAX);
    const ssize_t count = sendmsg(fd(), &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Sent::kFailed;
      if (!wait) return Sent::kLater;
      WaitForRoom(fd());
      continue;
    }
    size_t rest = static_cast<size_t>(count);
    // One call sends no more than the socket's buffer has room for, so the bound is passed by that
    // at most.
    *max_bytes -= std::min(rest, *max_bytes);
    for (; host_at_ < host_parts_.size() && rest >= host_parts_[host_at_].iov_len; host_at_ += 1) rest -= host_parts_[host_at_].iov_len;
    if (rest == 0) continue;
    iovec& part = host_parts_[host_at_];
    part = {static_cast<uint8_t*>(part.iov_base) + rest, part.iov_len - rest};
  }
  return Sent::kAll;
}

bool ReplyWriter::SendParts(const iovec* parts, int count) {
  mutex_.Lock();
  if (failed_) {
    mutex_.Unlock();
    return true;
  }
  if (count == 0) {
    end_waits_ = state_ != State::kIdle || promises_ > 0;
    const bool over = !end_waits_;
    mutex_.Unlock();
    return over;
  }
  host_parts_.assign(parts, parts + count);
  host_at_ = 0;
  if (state_ != State::kIdle) {
    Queue({});
    return false;
  }
  BecomeSender();
  mutex_.Unlock();
  size_t max_bytes = SIZE_MAX;
  const Sent sent = SendHost(false, &max_bytes);
  if (sent == Sent::kFailed) MarkFailed();
  mutex_.Lock();
  // Before the replies that other threads have left meanwhile.
  if (sent == Sent::kLater) backlog_.emplace_front();
  TakeTurn(kTurnBytes);
  return sent != Sent::kLater;
}

void ReplyWriter::SendOwned(OwnedReply reply) {
  mutex_.Lock();
  if (reply.promised) promises_ -= 1;
  Queue(std::move(reply));
}

void ReplyWriter::Queue(OwnedReply reply) {
  backlog_.push_back({std::move(reply), 0});
  if (state_ == State::kBusy) {
    mutex_.Unlock();
    return;
  }
  BecomeSender();
  TakeTurn(kTurnBytes);
}

void ReplyWriter::Drain() {
  mutex_.Lock();
  if (state_ == State::kBusy) {
    drain_again_ = true;
    mutex_.Unlock();
    return;
  }
  BecomeSender();
  TakeTurn(kTurnBytes);
}

void ReplyWriter::Tell(const Entry& entry) {
  if (entry.owned.bytes == nullptr) {
    listener_->OnHostSent();
  } else {
    listener_->OnOwnedSent(entry.owned.cost);
  }
}

void ReplyWriter::MarkFailed() {
  {
    const MutexLock lock(mutex_);
    failed_ = true;
  }
  // Wakes each thread that waits for the client, in recv(2) too.
  shutdown(fd(), SHUT_RDWR);
}

void ReplyWriter::Fail() {
  MarkFailed();
  Drain();
}

void ReplyWriter::Close() {
  Fail();
  const MutexLock lock(mutex_);
  AwaitSenderEnd();
}

}  // namespace copse
