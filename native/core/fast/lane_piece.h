// Cuts the answer to a READ into chunks of data and holes, by the rules of
// src/server/transmission.ts and read-reply.ts.
#pragma once

#include <cstdint>
#include <vector>

#include "range_source.h"
#include "request_frame.h"

namespace copse {

struct ReplyPiece {
  uint64_t offset;
  uint64_t size;
  bool hole;
};

// True if the reply may contain holes.
bool MayCut(const Request& request, ReplyMode replies);

// The request's range in order; adjacent pieces differ. One piece of data unless it may be cut.
// Empties `pieces` first.
void CutReply(const Request& request, ReplyMode replies, const RangeSource& source, std::vector<ReplyPiece>* pieces);

// From this length on a reply is searched for holes inside; shorter ones are a hole or they are
// not.
constexpr uint64_t kSplitFromBytes = 128 << 10;

}  // namespace copse
