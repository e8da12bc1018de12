// Headers of the replies that are answered natively, all of them successful. Each function puts
// bytes at a position and returns their number. Source: doc/proto.md, "Simple reply message" to
// "Structured reply types"; branch extension-ext-header. The bytes equal those of
// src/nbd/codec/frame.ts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "request_frame.h"

namespace copse {

// Bytes that each of the calls below puts at most.
constexpr size_t kMostReplyHeaderBytes = 44;

// Before a READ's data. Simple: one for all of it. Else one for each chunk: `done` with the last,
// offset and size are the chunk's (size at most 32 MiB).
size_t PutDataHeader(uint8_t* target, ReplyMode replies, const Request& to, bool done, uint64_t offset, uint64_t size);

// A whole hole chunk; never with simple replies.
size_t PutHole(uint8_t* target, ReplyMode replies, const Request& to, bool done, uint64_t offset, uint64_t size);

// Success without content.
size_t PutSuccess(uint8_t* target, ReplyMode replies, const Request& to);

}  // namespace copse
