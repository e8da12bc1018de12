// NativeChunkFile: methods that return at once. Those that return promises are in
// chunk_file_call.cc, those for marks in chunk_file_mark.cc, those for descriptors in
// chunk_file_descriptor.cc.
#include "chunk_file_class.h"

#include <cerrno>
#include <memory>

#include "argument.h"
#include "exports.h"
#include "frame.h"
#include "native_class.h"

namespace copse {
namespace {

napi_value ReadNow(const Arguments& arguments, ChunkHandle& file) {
  uint8_t* target;
  size_t size;
  uint64_t offset;
  bool guest = false;
  if (!arguments.Slice(0, "target", &target, &size) || !ReadOffset(arguments, *file.core, size, &offset)) return nullptr;
  if (arguments.Has(4) && !arguments.Boolean(4, "guest", &guest)) return nullptr;
  const char* failed_path;
  // Files that can't be opened are no error here: `read` follows and says why.
  const NowResult result = file.EnsureFiles(&failed_path).ok()
                               ? file.core->ReadNow(target, size, offset, guest ? Reader::kGuest : Reader::kHost)
                               : NowResult::kWouldBlock;
  return Int32Value(arguments.env(), static_cast<int32_t>(result));
}

napi_value State(const Arguments& arguments, ChunkHandle& file) {
  uint32_t index;
  if (!ChunkIndex(arguments, *file.core, &index)) return nullptr;
  return Uint32Value(arguments.env(), static_cast<uint32_t>(file.core->map().state(index)));
}

napi_value Runs(const Arguments& arguments, ChunkHandle& file) {
  const ChunkMap& map = file.core->map();
  uint64_t first, count, max_runs;
  if (!arguments.Integer(0, "firstIndex", map.count(), &first) || !arguments.Integer(1, "chunkCount", map.count() - first, &count) ||
      !arguments.Integer(2, "maxRuns", kMaxSafeInteger, &max_runs)) {
    return nullptr;
  }
  std::vector<uint32_t> runs;
  for (uint64_t index = first; index < first + count; index += 1) {
    const uint32_t state = static_cast<uint32_t>(map.state(static_cast<uint32_t>(index)));
    if (!runs.empty() && runs[runs.size() - 2] == state) {
      runs.back() += 1;
    } else if (runs.size() / 2 < max_runs) {
      runs.push_back(state);
      runs.push_back(1);
    } else {
      break;
    }
  }
  return Uint32ArrayValue(arguments.env(), runs);
}

napi_value IsZero(const Arguments& arguments, ChunkHandle& file) {
  uint64_t offset, size;
  if (!arguments.Range(0, 1, file.core->size_bytes(), &offset, &size)) return nullptr;
  return BooleanValue(arguments.env(), file.core->IsZero(offset, size));
}

napi_value Sweep(const Arguments& arguments, ChunkHandle& file) {
  ChunkMap& map = file.core->map();
  uint64_t hand, max_scan, max_count;
  // A hand at the end means the start, so that callers may add counts to indices.
  if (!arguments.Integer(0, "handIndex", map.count(), &hand) || !arguments.Integer(1, "maxScan", kMaxSafeInteger, &max_scan) ||
      !arguments.Integer(2, "maxCount", kMaxSafeInteger, &max_count)) {
    return nullptr;
  }
  std::vector<uint32_t> found;
  const uint32_t next = map.Sweep(hand == map.count() ? 0 : static_cast<uint32_t>(hand), max_scan, max_count, &found);
  found.insert(found.begin(), next);
  return Uint32ArrayValue(arguments.env(), found);
}

napi_value Number(const Arguments& arguments, uint64_t number) { return NumberValue(arguments.env(), static_cast<double>(number)); }

napi_value ChunkCount(const Arguments& arguments, ChunkHandle& file) { return Number(arguments, file.core->map().count()); }
napi_value DataBytes(const Arguments& arguments, ChunkHandle& file) { return Number(arguments, file.core->map().data_bytes()); }
napi_value ZeroBytes(const Arguments& arguments, ChunkHandle& file) { return Number(arguments, file.core->map().zero_bytes()); }
napi_value UnverifiedBytes(const Arguments& arguments, ChunkHandle& file) { return Number(arguments, file.core->map().unverified_bytes()); }
napi_value TouchedCount(const Arguments& arguments, ChunkHandle& file) { return Number(arguments, file.core->map().touched_count()); }

// Chunks are whole pages, so that a hole can be punched for each. The bounds keep the map at 1 GiB
// and a verify's buffer small.
constexpr uint64_t kChunkGranuleBytes = 4096, kMaxChunkBytes = 64 << 20, kMaxChunkCount = uint64_t{1} << 28;

bool ReadLayout(const Arguments& arguments, ChunkFileLayout* layout) {
  uint64_t chunk_bytes, seed;
  if (!arguments.IntegerProperty(0, "sizeBytes", kMaxSafeInteger, &layout->size_bytes) ||
      !arguments.IntegerProperty(0, "chunkBytes", kMaxChunkBytes, &chunk_bytes) ||
      !arguments.IntegerProperty(0, "recordsOffset", kMaxSafeInteger / 2, &layout->records_offset) ||
      !arguments.IntegerProperty(0, "recordSeed", UINT32_MAX, &seed) || !arguments.BooleanProperty(0, "trusted", false, &layout->trusted)) {
    return false;
  }
  if (chunk_bytes == 0 || chunk_bytes % kChunkGranuleBytes != 0) return arguments.RefuseRange("\"chunkBytes\" must be a multiple of 4096, up to 64 MiB");
  if ((layout->size_bytes + chunk_bytes - 1) / chunk_bytes > kMaxChunkCount) return arguments.RefuseRange("an image has at most 2^28 chunks: choose larger ones");
  layout->chunk_bytes = static_cast<uint32_t>(chunk_bytes);
  layout->record_seed = static_cast<uint32_t>(seed);
  return true;
}

}  // namespace

bool ReadOffset(const Arguments& arguments, const ChunkFile& file, size_t size, uint64_t* offset) {
  if (size <= file.size_bytes()) return arguments.Integer(3, "offset", file.size_bytes() - size, offset);
  return arguments.RefuseRange("\"lengthBytes\" must not be more than the image has");
}

bool ChunkIndex(const Arguments& arguments, ChunkFile& file, uint32_t* index) {
  uint64_t value;
  if (!arguments.Integer(0, "chunkIndex", UINT32_MAX, &value)) return false;
  if (value >= file.map().count()) return arguments.RefuseRange("\"chunkIndex\" must be less than the number of chunks");
  *index = static_cast<uint32_t>(value);
  return true;
}

bool DefineChunkFileClass(napi_env env) {
  std::vector<napi_property_descriptor> properties = {
      Getter("chunkCount", Accessor<ChunkCount>), Getter("dataBytes", Accessor<DataBytes>), Getter("zeroBytes", Accessor<ZeroBytes>), Getter("unverifiedBytes", Accessor<UnverifiedBytes>),
      Getter("touchedCount", Accessor<TouchedCount>),
      Method("state", AtOnce<State>),           Method("runs", AtOnce<Runs>),           Method("isZero", AtOnce<IsZero>),       Method("readNow", AtOnce<ReadNow>),
      Method("sweep", AtOnce<Sweep>)};
  for (const auto& more : {ChunkFileCalls(), ChunkFileDescriptors(), ChunkFileMarks()}) properties.insert(properties.end(), more.begin(), more.end());
  return DefineNativeClass(env, "NativeChunkFile", properties, &Environment::Of(env)->chunk_file_class);
}

napi_value OpenChunkFile(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  std::string data_path, map_path;
  ChunkFileLayout layout{};
  if (!arguments.Object(0, "options") || !arguments.TextProperty(0, "dataPath", &data_path) ||
      !arguments.TextProperty(0, "mapPath", &map_path) || !ReadLayout(arguments, &layout)) {
    return nullptr;
  }
  bool load = true;
  if (!arguments.BooleanProperty(0, "load", true, &load)) return nullptr;
  std::shared_ptr<ChunkFile> file = ChunkFile::Create(data_path.c_str(), map_path.c_str(), layout);
  const char* failed_path = map_path.c_str();
  const Status status = !file ? Status{ENOMEM, "malloc"} : load ? file->Load(&failed_path) : Status{};
  if (!status.ok()) return ThrowSystemError(env, status, failed_path);
  return WrapShared<FileHandle>(env, Environment::Of(env)->chunk_file_class, ChunkHandle::kTag,
                                std::make_shared<ChunkHandle>(data_path, std::move(file)));
}

}  // namespace copse
