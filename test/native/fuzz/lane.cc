// Takes any bytes as the session of one connection, over a whole lane. Each request goes up as it
// came or is answered rightly, once, and the session ends. lane/situation.h has the form of the
// input.
#include "lane/session.h"

namespace {

// Counts open descriptors among the numbers that an execution could reach. One call, which looks at
// nothing else of them.
int CountFiles() {
  pollfd files[64];
  for (int fd = 0; fd < 64; fd += 1) files[fd] = {fd, 0, 0};
  poll(files, 64, 0);
  return static_cast<int>(std::count_if(files, files + 64, [](const pollfd& file) { return (file.revents & POLLNVAL) == 0; }));
}

// Waits: another thread may still be about to close its last descriptor.
void AwaitFiles(int count) {
  lane::Watchdog::Watch("a descriptor that was not closed");
  while (CountFiles() > count) sched_yield();
}

void RunOnce(const uint8_t* data, size_t size) {
  const lane::Situation situation(data);
  std::vector<std::pair<uint64_t, uint64_t>> written;
  {
    // The session holds the disk, whose files are opened once at a time.
    lane::Session session(situation, data + lane::Situation::kBytes, size - lane::Situation::kBytes);
    session.Run();
    written = session.written();
  }
  lane::Files::Shared().Restore(written);
  lane::Watchdog::Watch(nullptr);
}

}  // namespace

// Makes what the process makes once: files, threads and their descriptors.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  check::end = abort;
  const uint8_t nothing[lane::Situation::kBytes] = {};
  RunOnce(nothing, sizeof(nothing));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < lane::Situation::kBytes) return 0;
  const int before = CountFiles();
  RunOnce(data, size);
  AwaitFiles(before);
  lane::Watchdog::Watch(nullptr);
  return 0;
}
