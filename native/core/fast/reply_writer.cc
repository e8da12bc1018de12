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

// The socket is a blocking one; should somebody who shares its description think otherwise, waiting is done here.
void WaitForRoom(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  poll(&entry, 1, -1);
}

}  // namespace

ReplyWriter::~ReplyWriter() {
  if (watched_) Drainer::Shared().Forget(this);
}

bool ReplyWriter::failed() {
  const Guard guard(mutex_);
  return failed_;
}

bool ReplyWriter::Begin() {
  Guard guard(mutex_);
  while (busy_) {
    waiting_ += 1;
    free_.wait(guard);
    waiting_ -= 1;
  }
  busy_ = true;
  // What is there by now goes first; what comes meanwhile waits for End.
  for (size_t due = backlog_.size(); due > 0 && !failed_; due -= 1) {
    Entry& entry = backlog_.front();
    guard.unlock();
    size_t most_bytes = SIZE_MAX;
    const Sent sent = SendEntry(&entry, true, &most_bytes);
    if (sent == Sent::kFailed) FailNow();
    Tell(entry);
    progress_.Moved();
    guard.lock();
    backlog_.pop_front();
  }
  return !failed_;
}

bool ReplyWriter::Send(const uint8_t* bytes, size_t size, bool more) {
  if (SendAll(bytes, size, more ? MSG_MORE : 0)) return true;
  FailNow();
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
      if (errno == EPIPE || errno == ECONNRESET) FailNow();
      return false;
    }
    if (count == 0) return false;
    progress_.Moved();
    size -= static_cast<uint64_t>(count);
  }
  return true;
}

void ReplyWriter::Promise() {
  const Guard guard(mutex_);
  promises_ += 1;
}

void ReplyWriter::End(bool promised) {
  Guard guard(mutex_);
  if (promised) promises_ -= 1;
  Release(guard, SIZE_MAX);
}

void ReplyWriter::Release(Guard& guard, size_t most_bytes) {
  bool out_of_turn = false;
  while (!backlog_.empty() || IsEndDue()) {
    if (backlog_.empty()) {
      end_waits_ = false;
      guard.unlock();
      listener_->OnHostSent();
      guard.lock();
      continue;
    }
    // Somebody who may block is about to send it.
    if (waiting_ > 0 && !failed_) break;
    out_of_turn = most_bytes == 0 && !failed_;
    if (out_of_turn) break;
    Entry& entry = backlog_.front();
    const bool failed = failed_;
    drain_again_ = false;
    guard.unlock();
    const Sent sent = failed ? Sent::kFailed : SendEntry(&entry, false, &most_bytes);
    if (sent == Sent::kFailed && !failed) FailNow();
    const bool full = sent == Sent::kLater && most_bytes > 0;
    if (full && !Drainer::Shared().Watch(shared_from_this())) FailNow();
    if (sent != Sent::kLater) Tell(entry);
    guard.lock();
    watched_ = watched_ || full;
    if (sent != Sent::kLater) {
      backlog_.pop_front();
    } else if (full && !failed_ && !drain_again_) {
      break;
    }
  }
  busy_ = false;
  if (waiting_ > 0) free_.notify_all();
  if (!out_of_turn) return;
  // Free by now: the drainer may come before this returns.
  watched_ = true;
  guard.unlock();
  if (!Drainer::Shared().Watch(shared_from_this())) Fail();
}

ReplyWriter::Sent ReplyWriter::SendEntry(Entry* entry, bool wait, size_t* most_bytes) {
  if (entry->owned.bytes == nullptr) return SendHost(wait, most_bytes);
  while (entry->sent < entry->owned.size) {
    if (*most_bytes == 0) return Sent::kLater;
    const size_t size = std::min(entry->owned.size - entry->sent, *most_bytes);
    const ssize_t count = send(fd(), entry->owned.bytes.get() + entry->sent, size, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Sent::kFailed;
      if (!wait) return Sent::kLater;
      WaitForRoom(fd());
      continue;
    }
    entry->sent += static_cast<size_t>(count);
    *most_bytes -= static_cast<size_t>(count);
  }
  return Sent::kAll;
}

ReplyWriter::Sent ReplyWriter::SendHost(bool wait, size_t* most_bytes) {
  while (host_at_ < host_parts_.size()) {
    if (*most_bytes == 0) return Sent::kLater;
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
    // One call takes no more than the socket's buffer has room for.
    *most_bytes -= std::min(rest, *most_bytes);
    for (; host_at_ < host_parts_.size() && rest >= host_parts_[host_at_].iov_len; host_at_ += 1) rest -= host_parts_[host_at_].iov_len;
    if (rest == 0) continue;
    iovec& part = host_parts_[host_at_];
    part = {static_cast<uint8_t*>(part.iov_base) + rest, part.iov_len - rest};
  }
  return Sent::kAll;
}

bool ReplyWriter::SendParts(const iovec* parts, int count) {
  Guard guard(mutex_);
  if (failed_) return true;
  const bool alone = !busy_ && backlog_.empty();
  if (count == 0) {
    end_waits_ = !alone || promises_ > 0;
    return !end_waits_;
  }
  host_parts_.assign(parts, parts + count);
  host_at_ = 0;
  if (alone) {
    busy_ = true;
    guard.unlock();
    size_t most_bytes = SIZE_MAX;
    const Sent sent = SendHost(false, &most_bytes);
    if (sent == Sent::kFailed) FailNow();
    guard.lock();
    // Before anything that was left here meanwhile.
    if (sent == Sent::kLater) backlog_.emplace_front();
    Release(guard, kTurnBytes);
    return sent != Sent::kLater;
  }
  Enqueue(guard, {});
  return false;
}

void ReplyWriter::SendOwned(OwnedReply reply) {
  Guard guard(mutex_);
  if (reply.promised) promises_ -= 1;
  Enqueue(guard, std::move(reply));
}

void ReplyWriter::Enqueue(Guard& guard, OwnedReply reply) {
  backlog_.push_back({std::move(reply), 0});
  if (busy_) return;
  busy_ = true;
  Release(guard, kTurnBytes);
}

void ReplyWriter::Drain() {
  Guard guard(mutex_);
  drain_again_ = true;
  if (busy_) return;
  busy_ = true;
  Release(guard, kTurnBytes);
}

void ReplyWriter::Tell(const Entry& entry) {
  if (entry.owned.bytes == nullptr) {
    listener_->OnHostSent();
  } else {
    listener_->OnOwnedSent(entry.owned.cost);
  }
}

void ReplyWriter::FailNow() {
  {
    const Guard guard(mutex_);
    failed_ = true;
  }
  // Wakes whoever waits for the client, in recv(2) as well.
  shutdown(fd(), SHUT_RDWR);
}

void ReplyWriter::Fail() {
  FailNow();
  Drain();
}

void ReplyWriter::Close() {
  Fail();
  Guard guard(mutex_);
  while (busy_) {
    waiting_ += 1;
    free_.wait(guard);
    waiting_ -= 1;
  }
}

}  // namespace copse
