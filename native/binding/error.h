// JavaScript errors: the operating system's, in Node's form, and that of a closed object.
#pragma once

#include <node_api.h>

#include <string>

#include "../core/status.h"

namespace copse {

// `code` as Node spells it ("ENOSPC"), `errno` (negative), `syscall`, `path`. Null when JavaScript
// can't be entered any more.
napi_value MakeSystemError(napi_env env, const Status& status, const std::string& path);

// Throws, and returns null, so that a callback may return it.
napi_value ThrowSystemError(napi_env env, const Status& status, const std::string& path);

// ERR_CLOSED.
napi_value MakeClosedError(napi_env env, const std::string& path);
napi_value ThrowClosedError(napi_env env, const std::string& path);

}  // namespace copse
