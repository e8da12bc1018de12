// One datagram to a unix socket, which Node can't send: how systemd is told about a service's state.
#pragma once

#include <string>

#include "status.h"

namespace copse {

// Sends `text` to the socket at `path`; a leading '@' means the abstract namespace (unix(7), sd_notify(3)). Never waits.
Status SendDatagram(const std::string& path, const std::string& text);

}  // namespace copse
