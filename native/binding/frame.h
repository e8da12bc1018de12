// The frames of methods. A frame finds the receiver, sees whether it is open, and calls the
// method's body with the checked receiver. The body checks its arguments and does the rest:
//
//   napi_value State(const Arguments& arguments, ChunkHandle& file);
//   ... Method("state", AtOnce<State>)
//
//   AtOnce      a method that returns at once. A closed receiver throws ERR_CLOSED.
//   Accessor    the same for a getter.
//   Later       a method that returns a promise. A closed receiver and descriptors that can't be
//               opened again reject it.
//   Always      a method of a receiver that may be closed.
//
// Raw Node-API, and nothing is allocated: AtOnce is on the path of each hit. A receiver's class has
// From, kTag, IsClosed, path and EnsureFiles; file_handle.h has the base of most.
#pragma once

#include <node_api.h>

#include "../core/status.h"
#include "argument.h"
#include "error.h"
#include "promise.h"

namespace copse {

template <class Body>
struct FrameOf;
template <class Receiver>
struct FrameOf<napi_value (*)(const Arguments&, Receiver&)> {
  using Handle = Receiver;
};
template <auto body>
using HandleOf = typename FrameOf<decltype(body)>::Handle;

template <auto body>
napi_value AtOnce(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* const handle = HandleOf<body>::From(arguments.Unwrap());
  if (handle == nullptr) return nullptr;
  return handle->IsClosed() ? ThrowClosedError(env, handle->path) : body(arguments, *handle);
}

template <auto body>
napi_value Accessor(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* const handle = HandleOf<body>::From(arguments.Unwrap(HandleOf<body>::kTag));
  if (handle == nullptr) return nullptr;
  return handle->IsClosed() ? ThrowClosedError(env, handle->path) : body(arguments, *handle);
}

template <auto body>
napi_value Later(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* const handle = HandleOf<body>::From(arguments.Unwrap());
  if (handle == nullptr) return nullptr;
  if (handle->IsClosed()) return Rejected(env, MakeClosedError(env, handle->path));
  const char* failed_path;
  const Status status = handle->EnsureFiles(&failed_path);
  if (!status.ok()) return Rejected(env, MakeSystemError(env, status, failed_path));
  return body(arguments, *handle);
}

template <auto body>
napi_value Always(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* const handle = HandleOf<body>::From(arguments.Unwrap());
  return handle == nullptr ? nullptr : body(arguments, *handle);
}

}  // namespace copse
