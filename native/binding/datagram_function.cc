// sendDatagram.
#include "../core/datagram.h"
#include "argument.h"
#include "error.h"
#include "exports.h"

namespace copse {

napi_value SendDatagramTo(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  std::string path;
  std::string text;
  if (!arguments.Text(0, "path", &path) || !arguments.Text(1, "text", &text)) return nullptr;
  const Status status = SendDatagram(path, text);
  return status.ok() ? arguments.Undefined() : ThrowSystemError(env, status, path);
}

}  // namespace copse
