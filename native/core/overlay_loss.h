// The marks beside an overlay's map that tell a later process what an earlier one could not make durable.
//
//   MAP.lost      a sync of the data failed: blocks that were acknowledged may be gone. Stays until an operator accepts that.
//   MAP.unsynced  a sync of the map failed: the map file has to be written anew as a whole. Goes with the next flush that succeeds.
//
// A mark is its name: a file without content counts. It belongs to one map file, so a disk that gets new files gets rid of it.
#pragma once

#include <cstdint>
#include <string>

#include "status.h"

namespace copse {

// Milliseconds since 1970; 0: none.
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
