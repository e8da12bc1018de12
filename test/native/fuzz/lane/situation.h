// The head of an input for the lane: it says how the session goes. Every value of these bytes means
// something, and small values mean the usual.
//
//   0     bits 0-1 reply mode | 2-3 device | 4 payloads are made up, the input has headers alone |
//         5 some writes fail | 6 cold reads fail | 7 the socket does not block
//   1     cold parts of the device: bit N for each 64 KiB whose index is N modulo 8
//   2     cuts of the stream into sends: 0 none, up to 127 that many bytes each, beyond by chance
//   3     bits 0-1 client | 2-3 host | 4 least room in the socket | 5-6 bytes that may wait for the
//         host | 7 everything is done between two sends
//   4     bits 0-1 the host's answers | 2-3 the end | 4-7 bytes that were read before the lane began
//   5-13  three events: the kind, the request, and the byte in it (or the chunk)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../../../native/core/fast/request_frame.h"

namespace lane {

enum class Device { kNone, kImage, kDisk, kReadOnlyDisk };
// kAtOnce: reads (takes) what there is. kLazy: not before all is sent, or nothing else goes on. The
// others the same, in small pieces.
enum class Pace { kAtOnce, kPieces, kLazy, kLazyPieces };
enum class Answers { kNone, kShort, kData, kLongData };
enum class End { kHalfClose, kShut, kClientCloses, kDrain };
enum class What {
  kNothing,
  kRevoke,
  kRevokeQuietly,  // and waits until all is quiet
  kGrant,
  kGrantReadOnly,
  kSettle,         // waits until all that was sent is answered, or went up
  kShut,
  kHalfClose,
  kClientCloses,
  kEvict,
  kRot,            // a chunk turns out wrong
  kMark,
  kAskForEnd,      // Send of nothing
  kRevokeStalled,  // and asks whether the client is in the way
  kAwaitLane,      // for a moment: until it has sent something, or handed it up
  kCount
};

struct Event {
  What what;
  size_t item;
  size_t byte;
};

struct Situation {
  static constexpr size_t kBytes = 14;

  explicit Situation(const uint8_t* data)
      : replies(static_cast<copse::ReplyMode>((data[0] & 3) % 3)),
        device(static_cast<Device>(data[0] >> 2 & 3)),
        payloads_made((data[0] & 16) != 0),
        writes_fail((data[0] & 32) != 0),
        colds_fail((data[0] & 64) != 0),
        nonblocking((data[0] & 128) != 0),
        cold(data[1]),
        cut(data[2]),
        client(static_cast<Pace>(data[3] & 3)),
        host(static_cast<Pace>(data[3] >> 2 & 3)),
        little_room((data[3] & 16) != 0),
        max_input_bytes(std::array<size_t, 4>{1 << 20, 29, 1000, 5000}[data[3] >> 5 & 3]),
        settles((data[3] & 128) != 0),
        answers(static_cast<Answers>(data[4] & 3)),
        end(static_cast<End>(data[4] >> 2 & 3)),
        early((data[4] >> 4) * 11u) {
    for (size_t i = 0; i < events.size(); i += 1) {
      const uint8_t* const at = data + 5 + 3 * i;
      events[i] = {static_cast<What>(at[0] % static_cast<unsigned>(What::kCount)), at[1], at[2]};
    }
  }

  copse::ReplyMode replies;
  Device device;
  bool payloads_made, writes_fail, colds_fail, nonblocking;
  uint8_t cold;
  uint8_t cut;
  Pace client, host;
  bool little_room;
  size_t max_input_bytes;
  bool settles;
  Answers answers;
  End end;
  size_t early;
  std::array<Event, 3> events;
};

}  // namespace lane
