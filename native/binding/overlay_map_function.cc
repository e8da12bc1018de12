// writeOverlayMap.
#include <memory>

#include "exports.h"
#include "file_job.h"
#include "overlay_file_class.h"

namespace copse {
namespace {

// Stands for a file that is not open, so that errors name its path.
struct PathHandle final : FileHandle {
  using FileHandle::FileHandle;
  std::shared_ptr<void> Detach() override { return nullptr; }
};

}  // namespace

napi_value WriteOverlayMapFile(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  std::string map_path;
  OverlayLayout layout{};
  uint8_t* header;
  uint8_t* states;
  size_t header_size, block_count;
  if (!arguments.Object(0, "options") || !arguments.TextProperty(0, "mapPath", &map_path) || !ReadSectorLayout(arguments, &layout) ||
      !arguments.BytesProperty(0, "header", &header, &header_size) || !arguments.Bytes(1, "states", &states, &block_count)) {
    return nullptr;
  }
  if (header_size > layout.records_offset) {
    arguments.RefuseRange("\"header\" must not be longer than \"recordsOffset\"");
    return nullptr;
  }
  const auto handle = std::make_shared<PathHandle>(map_path);
  return Launch(env, *handle, PoolLane::kSync, arguments.at(1),
                [map_path, layout, header = std::vector<uint8_t>(header, header + header_size), states, block_count](Result* result) {
                  result->status = WriteOverlayMap(map_path.c_str(), layout, header.data(), header.size(), states, block_count);
                });
}

}  // namespace copse
