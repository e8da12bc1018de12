// One connection from its begin to its end. One thread is client and host, and goes on whenever one
// of them can. It waits for nothing but the lane, and not for long.
#pragma once

#include <poll.h>

#include <cerrno>

#include "host.h"
#include "up.h"
#include "watchdog.h"

namespace lane {

class Session {
 public:
  Session(const Situation& situation, const uint8_t* data, size_t size)
      : situation_(situation),
        stream_(situation, data, size),
        model_(ContentOf(situation), &stream_),
        replies_(situation.replies, &stream_, &model_),
        up_(&stream_, [this](const Item& item) {
          if (situation_.answers != Answers::kNone && !stopped_) outbox_->Add(ReplyOf(situation_, item));
        }),
        quiet_(situation.device == Device::kNone) {}

  void Run() {
    Start();
    SendAll();
    if (!abrupt_) Finish();
    Stop();
    CheckWritten();
  }
  // Ranges of the disk that may have been written: offsets and sizes.
  const std::vector<std::pair<uint64_t, uint64_t>>& written() const { return written_; }

 private:
  static const Files::Content* ContentOf(const Situation& situation) {
    return situation.device == Device::kImage ? &Files::Shared().image_content() : &Files::Shared().disk_content();
  }

  void Start() {
    Watchdog::Watch("the start of a lane");
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (situation_.nonblocking) CHECK_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    client_ = copse::Descriptor(ends[1]);
    copse::Lane::Options options{situation_.replies};
    options.max_input_bytes = situation_.max_input_bytes;
    if (situation_.little_room) options.send_buffer_bytes = 4096;
    const size_t early = std::min(situation_.early, stream_.bytes.size());
    MarkSent(early);
    CHECK_EQ(copse::Lane::Start(copse::Descriptor(ends[0]), options, stream_.bytes.data(), early, &host_, &lane_).error, 0);
    outbox_ = std::make_unique<Outbox>(lane_.get(), &host_, &replies_);
    if (situation_.device != Device::kNone) Grant(situation_.device == Device::kDisk);
  }

  // Grants.

  void Grant(bool writable) {
    const Files& files = Files::Shared();
    std::unique_ptr<copse::RangeSource> from;
    if (situation_.device == Device::kImage) from = std::make_unique<copse::ImageSource>(files.image());
    else from = std::make_unique<copse::DiskSource>(files.overlay(), files.image());
    // Those that wait in the lane's socket may be answered now.
    quiet_ = false;
    for (Item& item : stream_.items) item.not_here = false;
    Replace(std::make_shared<Source>(std::move(from), situation_.cold, situation_.colds_fail, situation_.writes_fail), writable);
  }
  void Replace(std::shared_ptr<Source> source, bool writable) {
    copse::kHostThread.Assert();
    if (source_ != nullptr) old_.push_back(source_);
    source_ = source;
    if (!lane_->Grant(std::move(source), writable)) loud_ += 1;
    for (const auto& old : old_) old->replaced = true;
    NoteQuiet();
  }
  // Nothing of what was granted before is touched from then on.
  void NoteQuiet() {
    if (!lane_->IsQuiet()) return;
    for (const auto& source : old_) {
      CHECK_EQ(source.use_count(), 1);
      source->over = true;
    }
    old_.clear();
    quiet_ = source_ == nullptr;
  }
  void Revoke(bool wait, bool stalled) {
    copse::kHostThread.Assert();
    Replace(nullptr, false);
    for (int i = 0; i < 3 && stalled && !lane_->IsQuiet(); i += 1) lane_->IsStalled();
    if (wait) Pump("a revoke that gets quiet", [this] { return lane_->IsQuiet(); });
    NoteQuiet();
  }

  // The client's side.

  void MarkSent(size_t size) {
    for (Item& item : stream_.items) {
      if (item.begin >= sent_ && item.begin < sent_ + size) item.not_here = quiet_;
      // From when it is whole, the lane may do it.
      if (item.end > sent_ && item.end <= sent_ + size && item.plain_write && model_.IsInside(item.offset, item.length)) model_.AddWrite(item);
    }
    sent_ += size;
  }

  void SendAll() {
    size_t next_event = 0;
    uint32_t chance = situation_.cut * 2654435761u + 1;
    size_t pieces = 0;
    std::vector<std::pair<size_t, Event>> events;
    for (const Event& event : situation_.events) {
      if (event.what != What::kNothing) events.push_back({PlaceOf(event), event});
    }
    std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    while (!abrupt_ && !half_closed_) {
      while (next_event < events.size() && events[next_event].first <= sent_ && !abrupt_ && !half_closed_) Do(events[next_event++].second);
      if (abrupt_ || half_closed_ || sent_ == stream_.bytes.size()) break;
      const size_t stop = next_event < events.size() ? events[next_event].first : stream_.bytes.size();
      size_t size = stop - sent_;
      chance = chance * 1664525u + 1013904223u;
      // Not without end: what comes then comes at once.
      if (situation_.cut != 0 && pieces++ < 80) size = std::min<size_t>(size, situation_.cut < 128 ? situation_.cut : 1 + (chance >> 8) % 700);
      SendPiece(size);
      if (situation_.settles) Settle();
      else if (situation_.cut != 0) Step(0);
    }
  }
  size_t PlaceOf(const Event& event) const {
    if (stream_.items.empty()) return std::min(event.byte, stream_.bytes.size());
    if (event.item >= stream_.items.size()) return stream_.bytes.size();
    const Item& item = stream_.items[event.item];
    const bool takes_chunk = event.what == What::kEvict || event.what == What::kRot || event.what == What::kMark;
    return std::min(stream_.bytes.size(), item.begin + (takes_chunk ? 0 : event.byte));
  }
  void SendPiece(size_t size) {
    while (size > 0 && !abrupt_) {
      // It may be answered before this returns.
      const ssize_t count = send(client_.get(), &stream_.bytes[sent_], size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0) {
        // Rot ends connections.
        if (errno == EPIPE || errno == ECONNRESET) {
          CHECK(may_be_cut_);
          abrupt_ = true;
          return;
        }
        CHECK_EQ(errno, EAGAIN);
        eager_ = true;
        Step(-1, true);
        continue;
      }
      MarkSent(static_cast<size_t>(count));
      size -= static_cast<size_t>(count);
    }
  }

  void Do(const Event& event) {
    const uint32_t chunk = static_cast<uint32_t>(event.byte % Files::Shared().image()->map().count());
    switch (event.what) {
      case What::kRevoke:
      case What::kRevokeQuietly:
      case What::kRevokeStalled:
        return Revoke(event.what == What::kRevokeQuietly, event.what == What::kRevokeStalled);
      case What::kGrant:
      case What::kGrantReadOnly:
        return Grant(event.what == What::kGrant && situation_.device != Device::kReadOnlyDisk);
      case What::kSettle:
        return Settle();
      case What::kShut:
        lane_->Shut();
        abrupt_ = true;
        return;
      case What::kHalfClose:
        half_closed_ = true;
        return;
      case What::kClientCloses:
        return CloseClient();
      case What::kEvict:
        Files::Shared().Evict(chunk);
        return;
      case What::kRot:
        may_be_cut_ = true;
        Files::Shared().Rot(chunk);
        return;
      case What::kMark:
        Files::Shared().image()->map().SetMark(chunk, true);
        return;
      case What::kAskForEnd:
        outbox_->AskForEnd();
        return outbox_->Send();
      case What::kAwaitLane:
        return AwaitLane();
      default:
        return;
    }
  }
  void AwaitLane() {
    constexpr int kMomentMs = 2;
    Step(0);
    pollfd entries[2] = {{host_.fd(), POLLIN, 0}, {client_.get(), POLLIN, 0}};
    poll(entries, 2, kMomentMs);
  }
  void CloseClient() {
    client_ = copse::Descriptor();
    abrupt_ = true;
  }

  // Going on.

  template <typename Condition>
  void Pump(const char* what, Condition condition) {
    Watchdog::Watch(what);
    const bool before = std::exchange(eager_, true);
    while (!condition() && !abrupt_) Step(-1);
    eager_ = before;
  }
  void Settle() {
    Pump("an answer to all that was sent", [this] { return IsSettled(); });
  }
  bool IsSettled() const {
    if (!outbox_->IsDone()) return false;
    for (const Item& item : stream_.items) {
      if (item.header_end > sent_) break;
      if (item.state == Item::State::kOpen || item.state == Item::State::kAnswering) {
        // A WRITE that the lane does waits for all of its payload; a READ that was cold, for the
        // payload that is going up to end.
        if (item.plain_read && up_.item() != nullptr) continue;
        if (item.end <= sent_ || !item.plain_write) return false;
      } else if (&item == up_.item() && item.begin + up_.taken_of_item() < std::min<uint64_t>(item.end, sent_)) {
        return false;
      }
    }
    const size_t raw_from = stream_.RawFrom(sent_);
    if (!over_ && sent_ - raw_from < stream_.header_bytes) return true;
    return up_.is_raw() ? up_.raw_at() == sent_ : raw_from == sent_;
  }

  // Waits until something can be done, and does it. `sending`: the client wants to send.
  void Step(int timeout_ms, bool sending = false) {
    if (timeout_ms < 0) timeout_ms = Watchdog::kLimitS * 1000 / 2;
    const bool takes = input_waits_ && (eager_ || situation_.host < Pace::kLazy);
    const bool reads = client_.valid() && !client_over_ && (eager_ || situation_.client < Pace::kLazy);
    pollfd entries[2] = {{host_.fd(), POLLIN, 0}, {reads || sending ? client_.get() : -1, static_cast<short>((reads ? POLLIN : 0) | (sending ? POLLOUT : 0)), 0}};
    const int count = poll(entries, 2, takes ? 0 : timeout_ms);
    if (count == 0 && !takes && timeout_ms > 0) Hang();
    if (entries[0].revents != 0) {
      host_.Drain();
      const uint64_t inputs = host_.inputs;
      input_waits_ = input_waits_ || inputs != inputs_;
      inputs_ = inputs;
      outbox_->Send();
      NoteQuiet();
    }
    if (input_waits_ && (eager_ || situation_.host < Pace::kLazy)) TakeUp();
    if ((entries[1].revents & (POLLIN | POLLHUP)) != 0 && reads) Receive();
  }
  void TakeUp() {
    copse::kHostThread.Assert();
    const bool small = (situation_.host == Pace::kPieces || situation_.host == Pace::kLazyPieces) && small_takes_++ < 100;
    const size_t size = small ? 7 : sizeof(buffer_);
    bool over = false;
    const size_t count = lane_->TakeInput(buffer_, size, &over);
    up_.Take(buffer_, count, sent_);
    if (count < size) input_waits_ = false;
    if (over) over_ = true;
    if (over) CHECK_EQ(lane_->input_size(), 0u);
    outbox_->Send();
  }
  void Receive() {
    const bool small = (situation_.client == Pace::kPieces || situation_.client == Pace::kLazyPieces) && small_reads_++ < 100;
    const ssize_t count = recv(client_.get(), buffer_, small ? 13 : sizeof(buffer_), MSG_DONTWAIT);
    if (count > 0) return replies_.Take(buffer_, static_cast<size_t>(count), sent_);
    if (count < 0 && errno == EAGAIN) return;
    client_over_ = true;
    if (ending_) return;
    CHECK(may_be_cut_);
    abrupt_ = true;
  }
  [[noreturn]] void Hang() {
    std::fprintf(stderr, "hangs: sent %zu of %zu, %zu went up, %zu of them wait, over %d, quiet %d, host %d\n", sent_, stream_.bytes.size(), up_.count(), lane_->input_size(), over_,
                 lane_->IsQuiet(), outbox_->IsDone());
    for (const Item& item : stream_.items) {
      if (item.header_end <= sent_) std::fprintf(stderr, "  %d at %zu: type %u, flags %u, %lu at %lu\n", static_cast<int>(item.state), item.begin, item.type, item.flags, item.length, item.offset);
    }
    std::abort();
  }

  // The end, in order: everything that was sent has an answer, or went up.
  void Finish() {
    if (situation_.end == End::kShut && !half_closed_) {
      lane_->Shut();
      abrupt_ = true;
      return;
    }
    if (situation_.end == End::kClientCloses && !half_closed_) return CloseClient();
    if (situation_.end == End::kDrain && !half_closed_) {
      // As a node that drains. What was answered has left then.
      Revoke(true, false);
      outbox_->AskForEnd();
      outbox_->Send();
      Pump("all replies leaving", [this] { return outbox_->IsDone(); });
      whole_ = !abrupt_;
      return;
    }
    CHECK_EQ(shutdown(client_.get(), SHUT_WR), 0);
    Pump("the end of the input", [this] { return over_; });
    if (abrupt_) return;
    up_.End(sent_, true);
    Pump("the last answers", [this] { return IsSettled() || IsSettledButForReads(); });
    if (abrupt_) return;
    outbox_->AskForEnd();
    outbox_->Send();
    Pump("nothing more to send", [this] { return outbox_->IsDone(); });
    whole_ = !abrupt_;
  }
  // Those that were cold, and are to go up behind a request whose payload the client never sent,
  // have no place there.
  bool IsSettledButForReads() const {
    if (up_.item() == nullptr || !outbox_->IsDone()) return false;
    for (const Item& item : stream_.items) {
      if (item.header_end <= sent_ && item.state != Item::State::kUp && item.state != Item::State::kAnswered && !item.plain_read) return false;
    }
    return true;
  }

  void Stop() {
    ending_ = eager_ = true;
    // The lane acts on it by itself.
    if (std::exchange(abrupt_, false)) Pump("the end of a connection that was cut", [this] { return over_; });
    Watchdog::Watch("the end of a lane");
    lane_->Stop();
    stopped_ = true;
    while (!over_) {
      const size_t before = lane_->input_size();
      TakeUp();
      CHECK(over_ || lane_->input_size() < before);
    }
    up_.End(sent_, false);
    CHECK(lane_->IsQuiet());
    NoteQuiet();
    CHECK(!outbox_->IsPending());
    CHECK(host_.quiets <= loud_ && (loud_ == 0 || host_.quiets > 0));
    // The client reads everything that has left.
    while (client_.valid() && !client_over_) Receive();
    CheckCounters();
    // The last holder may be a thread of the pool, which has just said that its read is done.
    Watchdog::Watch("a grant that is held after the lane's end");
    lane_.reset();
    while (source_ != nullptr && source_.use_count() > 1) sched_yield();
  }
  void CheckCounters() {
    const copse::LaneCounters& counters = lane_->counters();
    CHECK(replies_.reads <= counters.reads && replies_.writes <= counters.writes);
    CHECK(counters.cut_replies <= (may_be_cut_ ? 1u : 0u));
    for (const Item& item : stream_.items) {
      if (counters.writes > 0 && item.plain_write && item.end <= sent_ && model_.IsInside(item.offset, item.length)) written_.push_back({item.offset, item.length});
    }
    if (!whole_ || counters.cut_replies > 0) return;
    CHECK(replies_.IsClean());
    CHECK_EQ(counters.reads, replies_.reads);
    CHECK_EQ(counters.read_bytes, replies_.read_bytes);
    CHECK_EQ(counters.writes, replies_.writes);
    CHECK_EQ(counters.written_bytes, replies_.written_bytes);
  }
  // Compares the disk with the model, where the lane wrote to it.
  void CheckWritten() {
    if (written_.empty()) return;
    for (const Item& item : stream_.items) {
      if (!item.plain_write || item.state == Item::State::kUp || item.end > sent_ || !model_.IsInside(item.offset, item.length)) continue;
      if (!Files::Shared().overlay()->IsLocal(item.offset, item.length)) {
        CHECK(item.state != Item::State::kAnswered);
        continue;
      }
      static Bytes bytes;
      bytes.resize(item.length);
      CHECK(Files::Shared().overlay()->Read(bytes.data(), bytes.size(), item.offset).ok());
      CHECK(model_.IsRight(bytes.data(), item.offset, bytes.size(), SIZE_MAX - 1));
    }
  }

  static inline uint8_t buffer_[64 << 10];
  const Situation situation_;
  Stream stream_;
  Model model_;
  Replies replies_;
  Up up_;
  Host host_;
  copse::Descriptor client_;
  std::shared_ptr<copse::Lane> lane_;
  std::unique_ptr<Outbox> outbox_;
  std::shared_ptr<Source> source_;
  std::vector<std::shared_ptr<Source>> old_;
  // Grants that found something in use.
  size_t loud_ = 0;
  // Nothing is granted, and nothing of what was is in use.
  bool quiet_;
  size_t sent_ = 0;
  uint64_t inputs_ = 0;
  bool input_waits_ = false, over_ = false, client_over_ = false;
  bool eager_ = false, half_closed_ = false, ending_ = false, may_be_cut_ = false, stopped_ = false;
  // Not everything that was sent need be answered any more.
  bool abrupt_ = false;
  // Everything that the lane answered has to have come.
  bool whole_ = false;
  std::vector<std::pair<uint64_t, uint64_t>> written_;
  size_t small_takes_ = 0, small_reads_ = 0;
};

}  // namespace lane
