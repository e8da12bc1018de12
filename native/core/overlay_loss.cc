#include "overlay_loss.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "descriptor.h"
#include "file_io.h"

namespace copse {
namespace {

std::string LostPath(const std::string& map_path) { return map_path + ".lost"; }
std::string UnsyncedPath(const std::string& map_path) { return map_path + ".unsynced"; }

// Each part is tried even if the one before it failed: a name without content counts, too.
Status WriteMark(const std::string& path, const std::string& text) {
  const Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return {errno, "open"};
  Status status = WriteFull(fd.get(), reinterpret_cast<const uint8_t*>(text.data()), text.size(), 0, false);
  if (fsync(fd.get()) != 0 && status.ok()) status = {errno, "fsync"};
  const Status folder = SyncFolderOf(path);
  return status.ok() ? folder : status;
}

std::string Iso(uint64_t ms) {
  const time_t seconds = static_cast<time_t>(ms / 1000);
  struct tm parts;
  char date[32], text[40];
  gmtime_r(&seconds, &parts);
  strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text, sizeof(text), "%s.%03uZ", date, static_cast<unsigned>(ms % 1000));
  return text;
}

}  // namespace

uint64_t WallClockMs() {
  using std::chrono::duration_cast;
  return static_cast<uint64_t>(duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

void RemoveOverlayMarks(const char* map_path) {
  unlink(LostPath(map_path).c_str());
  unlink(UnsyncedPath(map_path).c_str());
}

bool ReadLossMark(const std::string& map_path, std::string* text) {
  const Descriptor fd(open(LostPath(map_path).c_str(), O_RDONLY | O_CLOEXEC));
  // A mark that can't be opened is one all the same.
  if (!fd.valid()) return errno != ENOENT;
  char bytes[512];
  const ssize_t count = read(fd.get(), bytes, sizeof(bytes));
  if (count > 0) text->assign(bytes, static_cast<size_t>(count));
  return true;
}

std::string LossText(const Status& status, const LossTimes& times) {
  const char* const name = strerrorname_np(status.error);
  std::string text = "{\"copse\":\"loss\",\"format\":1,\"at\":\"" + Iso(WallClockMs()) + "\",\"openedAt\":\"" + Iso(times.opened_ms) + "\"";
  if (times.last_sync_ms != 0) text += ",\"lastSyncAt\":\"" + Iso(times.last_sync_ms) + "\"";
  return text + ",\"error\":\"" + (name == nullptr ? "UNKNOWN" : name) + "\"}\n";
}

Status WriteLossMark(const std::string& map_path, const std::string& text) { return WriteMark(LostPath(map_path), text); }

Status RemoveLossMark(const std::string& map_path) {
  const std::string path = LostPath(map_path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return {errno, "unlink"};
  return SyncFolderOf(path);
}

bool HasUnsyncedMark(const std::string& map_path) {
  struct stat info;
  return stat(UnsyncedPath(map_path).c_str(), &info) == 0;
}

Status WriteUnsyncedMark(const std::string& map_path) { return WriteMark(UnsyncedPath(map_path), ""); }

void RemoveUnsyncedMark(const std::string& map_path) { unlink(UnsyncedPath(map_path).c_str()); }

}  // namespace copse
