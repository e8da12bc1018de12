// Arguments of one call, checked at the edge. Every getter that returns false has thrown
// (ERR_INVALID_ARG_TYPE as a TypeError, ERR_OUT_OF_RANGE as a RangeError), and the callback returns
// null at once. Raw Node-API, and nothing is allocated: the path of each hit is here.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "value.h"

namespace copse {

constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;

class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info);

  napi_env env() const { return env_; }
  napi_value at(size_t index) const { return values_[index]; }
  bool Has(size_t index) const;

  // The native object that `this` wraps; null, with an exception pending, when it wraps nothing.
  // For methods only: V8 has checked by the class's signature that the receiver is of that class.
  void* Unwrap() const;
  // The same for accessors, whose receivers V8 does not check.
  void* Unwrap(const napi_type_tag& tag) const;
  // The same for an argument.
  void* Native(size_t index, const char* name, const napi_type_tag& tag) const;

  // An integer in [0, max].
  bool Integer(size_t index, const char* name, uint64_t max, uint64_t* value) const;
  bool Boolean(size_t index, const char* name, bool* value) const;
  bool Text(size_t index, const char* name, std::string* value) const;
  // The memory of a Uint8Array (a Buffer is one). A detached one has no bytes.
  bool Bytes(size_t index, const char* name, uint8_t** data, size_t* size) const;
  // The elements of a Uint32Array, for as long as it is not detached.
  bool Words(size_t index, const char* name, const uint32_t** words, size_t* count) const;
  // Buffer, start and length at three consecutive indices, the part inside the buffer.
  bool Slice(size_t index, const char* name, uint8_t** data, size_t* size) const;
  // Length and offset at two consecutive indices, their sum at most `max_end`.
  bool Range(size_t offset_index, size_t length_index, uint64_t max_end, uint64_t* offset, uint64_t* length) const;
  bool Object(size_t index, const char* name) const;

  // Properties of the object at `index`; a missing optional one leaves the value alone.
  bool IntegerProperty(size_t index, const char* name, uint64_t max, uint64_t* value) const;
  bool BooleanProperty(size_t index, const char* name, bool optional, bool* value) const;
  bool TextProperty(size_t index, const char* name, std::string* value) const;
  bool BytesProperty(size_t index, const char* name, uint8_t** data, size_t* size) const;

  // Throws a RangeError ERR_OUT_OF_RANGE, or a TypeError ERR_INVALID_ARG_TYPE. False, like the
  // getters.
  bool RefuseRange(const char* message) const {
    napi_throw_range_error(env_, "ERR_OUT_OF_RANGE", message);
    return false;
  }
  bool RefuseType(const char* message) const {
    napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", message);
    return false;
  }

  napi_value Undefined() const { return UndefinedValue(env_); }

 private:
  bool IntegerOf(napi_value from, const char* name, uint64_t max, uint64_t* value) const;
  bool BooleanOf(napi_value from, const char* name, bool* value) const;
  bool BytesOf(napi_value from, const char* name, uint8_t** data, size_t* size) const;
  bool TextOf(napi_value from, const char* name, std::string* value) const;
  bool WrongType(const char* name, const char* wanted) const;
  bool OutOfRange(const char* name, uint64_t max) const;

  static constexpr size_t kMax = 5;
  napi_env env_;
  napi_value this_ = nullptr;
  napi_value values_[kMax];
};

}  // namespace copse
