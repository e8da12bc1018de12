// The marks beside an overlay's map, by which a process tells a later one what it could not make
// durable.
//
//   MAP.lost      A sync of the data failed: acknowledged blocks may be gone. It stays until an
//                 operator accepts the loss.
//   MAP.unsynced  A sync of the map failed: the whole map file has to be written anew. It goes with
//                 the next flush that succeeds.
//
// A mark is its name: a file without content counts. It belongs to one map file, so it is removed
// when a disk gets new files.
#pragma once

#include <cstdint>
#include <string>

#include "status.h"

namespace copse {

// Time in ms since 1970; 0: none.
struct LossTimes {
  uint64_t opened_ms = 0;
  // The start of the last flush that succeeded.
  uint64_t last_sync_ms = 0;
};

uint64_t WallClockMs();

// Removes marks of a map file that is about to be made.
void RemoveOverlayMarks(const char* map_path);

// The text of the mark, one line of JSON. False: there is none.
bool ReadLossMark(const std::string& map_path, std::string* text);
std::string LossText(const Status& status, const LossTimes& times);
// Durable when it succeeds.
Status WriteLossMark(const std::string& map_path, const std::string& text);
Status RemoveLossMark(const std::string& map_path);

bool HasUnsyncedMark(const std::string& map_path);
Status WriteUnsyncedMark(const std::string& map_path);
void RemoveUnsyncedMark(const std::string& map_path);

}  // namespace copse
