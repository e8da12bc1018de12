// One datagram to a unix socket, by which a daemon tells systemd its state. Node can't send one.
#pragma once

#include <string>

#include "status.h"

namespace copse {

// Sends `text` to the socket at `path`; a leading '@' means the abstract namespace (unix(7),
// sd_notify(3)). Never waits.
Status SendDatagram(const std::string& path, const std::string& text);

}  // namespace copse
