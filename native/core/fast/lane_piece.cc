#include "lane_piece.h"

#include <algorithm>

namespace copse {

namespace {

// Finer ones would cost more in headers and splitting than they save.
constexpr uint64_t kPieceBytes = 64 << 10;

}  // namespace

bool MayCut(const Request& request, ReplyMode replies) { return replies != ReplyMode::kSimple && (request.flags & Request::kDontFragment) == 0; }

void CutReply(const Request& request, ReplyMode replies, const RangeSource& source, std::vector<ReplyPiece>* pieces) {
  pieces->clear();
  if (!MayCut(request, replies) || request.length < kSplitFromBytes) {
    const bool hole = MayCut(request, replies) && source.IsZero(request.offset, request.length);
    pieces->push_back({request.offset, request.length, hole});
    return;
  }
  const uint64_t end = request.offset + request.length;
  for (uint64_t at = request.offset; at < end;) {
    const uint64_t next = std::min(end, (at / kPieceBytes + 1) * kPieceBytes);
    const bool hole = source.IsZero(at, next - at);
    if (!pieces->empty() && pieces->back().hole == hole) {
      pieces->back().size += next - at;
    } else {
      pieces->push_back({at, next - at, hole});
    }
    at = next;
  }
}

}  // namespace copse
