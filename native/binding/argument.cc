#include "argument.h"

namespace copse {

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMax;
  napi_get_cb_info(env, info, &count, values_, &this_, nullptr);
}

bool Arguments::Has(size_t index) const {
  napi_valuetype type;
  return napi_typeof(env_, values_[index], &type) == napi_ok && type != napi_undefined;
}

void* Arguments::Unwrap() const {
  void* native = nullptr;
  if (napi_unwrap(env_, this_, &native) == napi_ok) return native;
  WrongType("this", "an open file");
  return nullptr;
}

void* Arguments::Unwrap(const napi_type_tag& tag) const {
  bool tagged = false;
  napi_valuetype type;
  const bool object = napi_typeof(env_, this_, &type) == napi_ok && type == napi_object;
  if (object && napi_check_object_type_tag(env_, this_, &tag, &tagged) == napi_ok && tagged) return Unwrap();
  WrongType("this", "an open file");
  return nullptr;
}

void* Arguments::Native(size_t index, const char* name, const napi_type_tag& tag) const {
  bool tagged = false;
  napi_valuetype type;
  void* native = nullptr;
  const bool object = napi_typeof(env_, values_[index], &type) == napi_ok && type == napi_object;
  if (object && napi_check_object_type_tag(env_, values_[index], &tag, &tagged) == napi_ok && tagged &&
      napi_unwrap(env_, values_[index], &native) == napi_ok) {
    return native;
  }
  WrongType(name, "an open file of its kind");
  return nullptr;
}

bool Arguments::Integer(size_t index, const char* name, uint64_t max, uint64_t* value) const {
  return IntegerOf(values_[index], name, max, value);
}

bool Arguments::Boolean(size_t index, const char* name, bool* value) const { return BooleanOf(values_[index], name, value); }

bool Arguments::Text(size_t index, const char* name, std::string* value) const { return TextOf(values_[index], name, value); }

bool Arguments::Bytes(size_t index, const char* name, uint8_t** data, size_t* size) const { return BytesOf(values_[index], name, data, size); }

bool Arguments::BytesOf(napi_value from, const char* name, uint8_t** data, size_t* size) const {
  napi_typedarray_type type;
  void* memory = nullptr;
  if (napi_get_typedarray_info(env_, from, &type, size, &memory, nullptr, nullptr) != napi_ok || type != napi_uint8_array) {
    return WrongType(name, "a Uint8Array");
  }
  *data = static_cast<uint8_t*>(memory);
  return true;
}

bool Arguments::Words(size_t index, const char* name, const uint32_t** words, size_t* count) const {
  napi_typedarray_type type;
  void* memory = nullptr;
  if (napi_get_typedarray_info(env_, values_[index], &type, count, &memory, nullptr, nullptr) != napi_ok || type != napi_uint32_array) {
    return WrongType(name, "a Uint32Array");
  }
  *words = static_cast<const uint32_t*>(memory);
  return true;
}

bool Arguments::Slice(size_t index, const char* name, uint8_t** data, size_t* size) const {
  uint64_t start, length;
  size_t whole;
  if (!Bytes(index, name, data, &whole) || !Integer(index + 1, "start", whole, &start)) return false;
  if (!Integer(index + 2, "lengthBytes", whole - start, &length)) return false;
  *data += start;
  *size = static_cast<size_t>(length);
  return true;
}

bool Arguments::Range(size_t offset_index, size_t length_index, uint64_t max_end, uint64_t* offset, uint64_t* length) const {
  return Integer(offset_index, "offset", max_end, offset) && Integer(length_index, "lengthBytes", max_end - *offset, length);
}

bool Arguments::Object(size_t index, const char* name) const {
  napi_valuetype type;
  return (napi_typeof(env_, values_[index], &type) == napi_ok && type == napi_object) || WrongType(name, "an object");
}

bool Arguments::IntegerProperty(size_t index, const char* name, uint64_t max, uint64_t* value) const {
  napi_value property;
  return napi_get_named_property(env_, values_[index], name, &property) == napi_ok && IntegerOf(property, name, max, value);
}

bool Arguments::BooleanProperty(size_t index, const char* name, bool optional, bool* value) const {
  napi_value property;
  napi_valuetype type;
  if (napi_get_named_property(env_, values_[index], name, &property) != napi_ok) return false;
  if (optional && napi_typeof(env_, property, &type) == napi_ok && type == napi_undefined) return true;
  return BooleanOf(property, name, value);
}

bool Arguments::TextProperty(size_t index, const char* name, std::string* value) const {
  napi_value property;
  return napi_get_named_property(env_, values_[index], name, &property) == napi_ok && TextOf(property, name, value);
}

bool Arguments::BytesProperty(size_t index, const char* name, uint8_t** data, size_t* size) const {
  napi_value property;
  return napi_get_named_property(env_, values_[index], name, &property) == napi_ok && BytesOf(property, name, data, size);
}

bool Arguments::IntegerOf(napi_value from, const char* name, uint64_t max, uint64_t* value) const {
  // As a double: Node-API's own conversion to int64 would cut fractions and turn NaN into 0.
  double number;
  if (napi_get_value_double(env_, from, &number) != napi_ok) return WrongType(name, "a number");
  // By way of a signed integer: one instruction, where an unsigned one takes a branch. Every `max`
  // is at most 2^53.
  if (!(number >= 0 && number <= static_cast<double>(max))) return OutOfRange(name, max);
  const int64_t integer = static_cast<int64_t>(number);
  *value = static_cast<uint64_t>(integer);
  return static_cast<double>(integer) == number || OutOfRange(name, max);
}

bool Arguments::BooleanOf(napi_value from, const char* name, bool* value) const {
  return napi_get_value_bool(env_, from, value) == napi_ok || WrongType(name, "a boolean");
}

bool Arguments::TextOf(napi_value from, const char* name, std::string* value) const {
  size_t size = 0;
  if (napi_get_value_string_utf8(env_, from, nullptr, 0, &size) != napi_ok) return WrongType(name, "a string");
  value->resize(size + 1);
  napi_get_value_string_utf8(env_, from, value->data(), size + 1, &size);
  value->resize(size);
  return value->find('\0') == std::string::npos || WrongType(name, "a string without null bytes");
}

bool Arguments::WrongType(const char* name, const char* wanted) const {
  bool pending = false;
  if (napi_is_exception_pending(env_, &pending) != napi_ok || pending) return false;
  const std::string message = std::string("\"") + name + "\" must be " + wanted;
  return RefuseType(message.c_str());
}

bool Arguments::OutOfRange(const char* name, uint64_t max) const {
  const std::string message = std::string("\"") + name + "\" must be an integer from 0 to " + std::to_string(max);
  return RefuseRange(message.c_str());
}

}  // namespace copse
