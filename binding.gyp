{
  "targets": [
    {
      "target_name": "copse",
      "sources": [
        "native/addon.cc",
        "native/binding/argument.cc",
        "native/binding/block_file_class.cc",
        "native/binding/chunk_file_call.cc",
        "native/binding/chunk_file_class.cc",
        "native/binding/datagram_function.cc",
        "native/binding/environment.cc",
        "native/binding/error.cc",
        "native/binding/file_handle.cc",
        "native/binding/file_job.cc",
        "native/binding/job_queue.cc",
        "native/binding/lock_function.cc",
        "native/binding/memory_function.cc",
        "native/binding/overlay_file_call.cc",
        "native/binding/overlay_file_class.cc",
        "native/binding/overlay_flush_call.cc",
        "native/binding/overlay_map_function.cc",
        "native/binding/peer_function.cc",
        "native/core/block_file.cc",
        "native/core/chunk_change.cc",
        "native/core/chunk_file.cc",
        "native/core/chunk_lease.cc",
        "native/core/chunk_map.cc",
        "native/core/chunk_record.cc",
        "native/core/crc32c.cc",
        "native/core/datagram.cc",
        "native/core/direct_io.cc",
        "native/core/file_io.cc",
        "native/core/file_lock.cc",
        "native/core/overlay_change.cc",
        "native/core/overlay_file.cc",
        "native/core/overlay_flush.cc",
        "native/core/overlay_log.cc",
        "native/core/overlay_map.cc",
        "native/core/overlay_map_file.cc",
        "native/core/overlay_sector.cc",
        "native/core/overlay_write.cc",
        "native/core/peer_credentials.cc",
        "native/core/range_lock.cc",
        "native/core/thread_pool.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "_FILE_OFFSET_BITS=64"],
      # A worker that alone loaded the addon unloads it at its end; the pool's threads stay, and need their code.
      "ldflags": ["-Wl,-z,nodelete"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fno-exceptions", "-fvisibility=hidden"]
    }
  ]
}
