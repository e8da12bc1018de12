// The answers that the lane's thread makes in its batch buffer: small reads, and writes.
#include "lane_server.h"
#include "reply_frame.h"

namespace copse {

LaneServer::Answer LaneServer::Read(const Request& request) {
  // Room first: that may have to send, and nothing may be in use meanwhile.
  const bool large = request.length >= kFromFileBytes;
  if (!MakeRoom(kMostReplyHeaderBytes + (large ? 0 : request.length)) || !Use()) return Answer::kUp;
  const uint64_t size = use_.source->size_bytes();
  if (request.offset > size || request.length > size - request.offset) return Answer::kUp;
  return large ? ReadLarge(request) : ReadSmall(request);
}

LaneServer::Answer LaneServer::ReadSmall(const Request& request) {
  uint8_t* const target = batch_ + batch_size_;
  if (MayCut(request, replies_) && use_.source->IsZero(request.offset, request.length)) {
    batch_size_ += PutHole(target, replies_, request, true, request.offset, request.length);
  } else {
    const size_t data_at = PutDataHeader(target, replies_, request, true, request.offset, request.length);
    switch (use_.source->ReadNow(target + data_at, request.length, request.offset)) {
      case Found::kHit:
        break;
      case Found::kCold:
        return ReadCold(request, true);
      case Found::kUp:
        return Answer::kUp;
    }
    batch_size_ += data_at + request.length;
  }
  reads_ += 1;
  read_bytes_ += request.length;
  return Answer::kDone;
}

LaneServer::Answer LaneServer::ReadCold(const Request& request, bool begun) {
  return shared_->cold.Start(shared_, request, input_.data(), begun) ? Answer::kDone : Answer::kUp;
}

LaneServer::Answer LaneServer::Write(const Request& request) {
  if (!MakeRoom(kMostReplyHeaderBytes) || !Use() || !use_.writable) return Answer::kUp;
  RangeSource& source = *use_.source;
  const uint64_t size = source.size_bytes();
  if (request.offset > size || request.length > size - request.offset || !source.CanWrite(request.offset, request.length)) return Answer::kUp;
  const size_t whole = header_bytes_ + request.length;
  if (input_.size() < whole) return input_.Reserve(whole) ? Answer::kPartial : Answer::kUp;
  // A failed one goes up, to fail there or not.
  if (!source.Write(input_.data() + header_bytes_, request.length, request.offset).ok()) return Answer::kUp;
  batch_size_ += PutSuccess(batch_ + batch_size_, replies_, request);
  input_.Consume(whole);
  writes_ += 1;
  written_bytes_ += request.length;
  return Answer::kDone;
}

}  // namespace copse
