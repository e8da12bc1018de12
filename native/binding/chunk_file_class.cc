// NativeChunkFile, its calls that return at once. Those that return promises are in chunk_file_call.cc, those for marks in chunk_file_mark.cc.
#include "chunk_file_class.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include "argument.h"
#include "error.h"
#include "exports.h"

namespace copse {
namespace {

napi_value ReadNow(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  uint8_t* target;
  size_t size;
  uint64_t offset;
  bool guest = false;
  if (file == nullptr || !arguments.Slice(0, "target", &target, &size) || !ReadOffset(arguments, *file->core, size, &offset)) return nullptr;
  if (arguments.Has(4) && !arguments.Boolean(4, "guest", &guest)) return nullptr;
  const char* failed_path;
  // `read` says why the files can't be opened.
  const NowResult result = EnsureFiles(file, &failed_path).ok()
                               ? file->core->ReadNow(target, size, offset, guest ? Reader::kGuest : Reader::kHost)
                               : NowResult::kWouldBlock;
  napi_value found = nullptr;
  napi_create_int32(env, static_cast<int32_t>(result), &found);
  return found;
}

napi_value State(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  uint32_t index;
  if (file == nullptr || !ChunkIndex(arguments, *file->core, &index)) return nullptr;
  napi_value state = nullptr;
  napi_create_uint32(env, static_cast<uint32_t>(file->core->map().state(index)), &state);
  return state;
}

napi_value Uint32Array(napi_env env, const std::vector<uint32_t>& numbers) {
  napi_value memory;
  napi_value array = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, numbers.size() * sizeof(uint32_t), &data, &memory) != napi_ok) return nullptr;
  if (!numbers.empty()) memcpy(data, numbers.data(), numbers.size() * sizeof(uint32_t));
  napi_create_typedarray(env, napi_uint32_array, numbers.size(), memory, 0, &array);
  return array;
}

napi_value Runs(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  if (file == nullptr) return nullptr;
  const ChunkMap& map = file->core->map();
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
  return Uint32Array(env, runs);
}

napi_value IsZero(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  uint64_t offset, size;
  if (file == nullptr || !arguments.Range(0, 1, file->core->size_bytes(), &offset, &size)) return nullptr;
  napi_value zero = nullptr;
  napi_get_boolean(env, file->core->IsZero(offset, size), &zero);
  return zero;
}

napi_value Sweep(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  ChunkHandle* const file = OpenChunks(arguments);
  if (file == nullptr) return nullptr;
  ChunkMap& map = file->core->map();
  uint64_t hand, max_scan, max_count;
  // A hand at the end is one at the start: counts that were sums of indices stay legal.
  if (!arguments.Integer(0, "handIndex", map.count(), &hand) || !arguments.Integer(1, "maxScan", kMaxSafeInteger, &max_scan) ||
      !arguments.Integer(2, "maxCount", kMaxSafeInteger, &max_count)) {
    return nullptr;
  }
  std::vector<uint32_t> found;
  const uint32_t next = map.Sweep(hand == map.count() ? 0 : static_cast<uint32_t>(hand), max_scan, max_count, &found);
  found.insert(found.begin(), next);
  return Uint32Array(env, found);
}

napi_value Number(napi_env env, napi_callback_info info, double (*get)(ChunkMap&)) {
  ChunkHandle* const file = FileOf<ChunkFile>(Arguments(env, info).Unwrap(kChunkFileTag));
  if (file == nullptr) return nullptr;
  if (file->closing) return ThrowClosedError(env, file->path);
  napi_value value = nullptr;
  napi_create_double(env, get(file->core->map()), &value);
  return value;
}

napi_value ChunkCount(napi_env env, napi_callback_info info) {
  return Number(env, info, [](ChunkMap& map) { return static_cast<double>(map.count()); });
}

napi_value DataBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](ChunkMap& map) { return static_cast<double>(map.data_bytes()); });
}

napi_value ZeroBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](ChunkMap& map) { return static_cast<double>(map.zero_bytes()); });
}

napi_value UnverifiedBytes(napi_env env, napi_callback_info info) {
  return Number(env, info, [](ChunkMap& map) { return static_cast<double>(map.unverified_bytes()); });
}

napi_value TouchedCount(napi_env env, napi_callback_info info) {
  return Number(env, info, [](ChunkMap& map) { return static_cast<double>(map.touched_count()); });
}

// Page-sized steps, so that holes can be punched chunk by chunk; the bounds keep the map at 1 GiB and a verify's buffer small.
constexpr uint64_t kChunkGranuleBytes = 4096, kMaxChunkBytes = 64 << 20, kMaxChunkCount = uint64_t{1} << 28;

bool ReadLayout(const Arguments& arguments, ChunkFileLayout* layout) {
  uint64_t chunk_bytes, seed;
  if (!arguments.IntegerProperty(0, "sizeBytes", kMaxSafeInteger, &layout->size_bytes) ||
      !arguments.IntegerProperty(0, "chunkBytes", kMaxChunkBytes, &chunk_bytes) ||
      !arguments.IntegerProperty(0, "recordsOffset", kMaxSafeInteger / 2, &layout->records_offset) ||
      !arguments.IntegerProperty(0, "recordSeed", UINT32_MAX, &seed) || !arguments.BooleanProperty(0, "trusted", false, &layout->trusted)) {
    return false;
  }
  if (chunk_bytes == 0 || chunk_bytes % kChunkGranuleBytes != 0) {
    napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "\"chunkBytes\" must be a multiple of 4096, up to 64 MiB");
    return false;
  }
  if ((layout->size_bytes + chunk_bytes - 1) / chunk_bytes > kMaxChunkCount) {
    napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "an image has at most 2^28 chunks: choose larger ones");
    return false;
  }
  layout->chunk_bytes = static_cast<uint32_t>(chunk_bytes);
  layout->record_seed = static_cast<uint32_t>(seed);
  return true;
}

}  // namespace

bool ReadOffset(const Arguments& arguments, const ChunkFile& file, size_t size, uint64_t* offset) {
  if (size <= file.size_bytes()) return arguments.Integer(3, "offset", file.size_bytes() - size, offset);
  napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "\"lengthBytes\" must not be more than the image has");
  return false;
}

bool ChunkIndex(const Arguments& arguments, ChunkFile& file, uint32_t* index) {
  uint64_t value;
  if (!arguments.Integer(0, "chunkIndex", UINT32_MAX, &value)) return false;
  if (value >= file.map().count()) {
    napi_throw_range_error(arguments.env(), "ERR_OUT_OF_RANGE", "\"chunkIndex\" must be less than the number of chunks");
    return false;
  }
  *index = static_cast<uint32_t>(value);
  return true;
}

bool DefineChunkFileClass(napi_env env) {
  std::vector<napi_property_descriptor> properties = {
      Getter("chunkCount", ChunkCount), Getter("dataBytes", DataBytes), Getter("zeroBytes", ZeroBytes), Getter("unverifiedBytes", UnverifiedBytes),
      Getter("touchedCount", TouchedCount),
      Method("state", State),           Method("runs", Runs),           Method("isZero", IsZero),       Method("readNow", ReadNow),
      Method("sweep", Sweep)};
  for (const auto& more : {ChunkFileCalls(), ChunkFileDescriptors(), ChunkFileMarks()}) properties.insert(properties.end(), more.begin(), more.end());
  return DefineFileClass(env, "NativeChunkFile", properties, &Environment::Of(env)->chunk_file_class);
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
  return WrapFile(env, Environment::Of(env)->chunk_file_class, kChunkFileTag, std::make_shared<ChunkHandle>(data_path, std::move(file)));
}

}  // namespace copse
