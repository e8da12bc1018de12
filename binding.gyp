{
  "targets": [
    {
      "target_name": "copse",
      # Every source below native/, in one order everywhere. -L: a sanitizer's build reaches native/ by a link.
      # gyp reads this list when it configures, so `npm run build:native` configures each time.
      "sources": ["<!@(find -L native -name '*.cc' | LC_ALL=C sort)"],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "_FILE_OFFSET_BITS=64"],
      # A worker that alone loaded the addon unloads it at its end; the pool's threads stay, and need their code.
      "ldflags": ["-Wl,-z,nodelete"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fno-exceptions", "-fvisibility=hidden"]
    }
  ]
}
